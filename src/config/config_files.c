/*
 * config_files: the files of a configuration as octets.
 */
#include "config/config_files.h"

#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_AT_ONCE = 65536 };

static bool read_all(int fd, const char *path, struct buf *bytes, struct err *err)
{
	for (;;) {
		/* One octet more than allowed is room enough to see that there is more. */
		unsigned char *room = buf_reserve(bytes, READ_AT_ONCE);
		ssize_t got = read(fd, room, READ_AT_ONCE);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, ERR_CONFIG, errno, "cannot read %s", path);
		if (!got)
			return true;
		buf_grow(bytes, (size_t)got);
		if (bytes->len > CONFIG_FILE_MAX)
			return err_set(err, ERR_CONFIG,
				       "%s is larger than 1 MB: that is no configuration", path);
	}
}

bool config_files_read(const char *path, struct buf *bytes, mode_t *mode_r, struct err *err)
{
	struct stat st;
	/* O_NONBLOCK: a fifo by this name must not hold us up; for files it changes nothing. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool ok;

	if (fd < 0)
		return err_sys(err, ERR_CONFIG, errno, "cannot read %s", path);
	if (fstat(fd, &st)) {
		ok = err_sys(err, ERR_CONFIG, errno, "cannot read %s", path);
	} else if (!S_ISREG(st.st_mode)) {
		ok = err_set(err, ERR_CONFIG, "%s is not a file", path);
	} else {
		*mode_r = st.st_mode;
		/* Room for all at once, so that growing leaves no copies behind. */
		if (st.st_size > 0 && st.st_size <= CONFIG_FILE_MAX)
			buf_reserve(bytes, (size_t)st.st_size + 2 * (size_t)READ_AT_ONCE);
		ok = read_all(fd, path, bytes, err);
	}
	close(fd);
	return ok;
}

static bool ends(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && !strcmp(name + len - end_len, end);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **config_files_names(const char *directory, struct err *err)
{
	char **names = mem_new(1, sizeof *names);
	size_t count = 0;
	const struct dirent *entry;
	DIR *dir = opendir(directory);

	if (!dir && errno == ENOENT)
		return names;
	while (dir && (errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (!ends(entry->d_name, ".yaml") && !ends(entry->d_name, ".yml")))
			continue;
		names = mem_resize(names, count + 2, sizeof *names);
		names[count++] = mem_copy(entry->d_name);
		names[count] = NULL;
	}
	if (errno) {
		err_sys(err, ERR_CONFIG, errno, "cannot read the directory %s", directory);
		config_files_free_names(names);
		names = NULL;
	}
	if (dir)
		closedir(dir);
	if (count && names)
		qsort(names, count, sizeof *names, by_name);
	return names;
}

void config_files_free_names(char **names)
{
	for (size_t i = 0; names && names[i]; i++)
		free(names[i]);
	free(names);
}

void config_files_place(const struct buf *bytes, size_t offset, unsigned *line_r,
			unsigned *column_r)
{
	*line_r = *column_r = 1;
	for (size_t i = 0; i < offset && i < bytes->len; i++) {
		if (bytes->data[i] == '\n') {
			(*line_r)++;
			*column_r = 1;
		} else if ((bytes->data[i] & 0xc0) != 0x80) {
			(*column_r)++;
		}
	}
}

bool config_files_tab_indents(const struct buf *bytes, unsigned line)
{
	size_t i = 0;

	for (; line > 1 && i < bytes->len; i++)
		line -= bytes->data[i] == '\n';
	while (i < bytes->len && bytes->data[i] == ' ')
		i++;
	return i < bytes->len && bytes->data[i] == '\t';
}
