/*
 * box: a directory in which letters wait, and the new/ and cur/ of a Maildir into which they are
 * put. What a Maildir (tmp/ and its own new/) and the spool (spool/ and quarantine/new/) share.
 *
 * All functions block. Failures are ERR_MAIL and name the file; a name that is no file name is
 * ERR_INTERNAL.
 */
#ifndef MAILHAUL_DELIVER_BOX_H
#define MAILHAUL_DELIVER_BOX_H

#include "deliver/sink.h"

struct box;

/* Opens the three directories. NULL on failure. */
struct box *box_open(const char *waiting, const char *maildir, struct err *err);
void box_free(struct box **box);

/* Where letters wait. */
int box_directory(const struct box *box);

/* Flushes the directory in which letters wait; or that one and new/. */
bool box_flush(struct box *box, struct err *err);
bool box_settle(struct box *box, struct err *err);

/* Renames a letter into new/, never over another one. One that is there already is no failure. */
bool box_place(struct box *box, const char *name, struct err *err);

/*
 * Looks where letters wait, then in new/, then in cur/ under any flags. The names in new/ and cur/
 * are read at the first question that needs them and then kept, so that thousands of questions cost
 * one reading. A name that was seen there is taken for arrived from then on, whoever moves it; a
 * name that was not can only get there by box_place(), which adds it. The names are forgotten at
 * box_settle() and when they are a minute old.
 */
bool box_find(struct box *box, const char *name, enum sink_where *where_r, struct err *err);

/* The path of a letter in new/, or in cur/ under any flags, to be freed; NULL if it is in neither.
 */
bool box_locate(struct box *box, const char *name, char **path_r, struct err *err);

/* Renames a letter from there back to where letters wait, under its own name, never over another
 * one; or removes it there. box_settle() makes both durable; removing flushes by itself. A letter
 * that is not there is a failure to move it, and none to remove it. */
bool box_take_back(struct box *box, const char *name, struct err *err);
bool box_remove(struct box *box, const char *name, struct err *err);

/* As in struct sink_ops. */
bool box_strays(struct box *box, const char *mark, void (*stray)(void *ctx, const char *name),
		void *ctx, struct err *err);
bool box_discard(struct box *box, const char *name, struct err *err);

/* Makes a directory and its missing parents, 0700. */
bool box_make(const char *path, struct err *err);

/* Makes cur, new and tmp, 0700, where they are missing in the directory. */
bool box_make_maildir(int directory, const char *path, struct err *err);

/* Renames, but never over a file that exists (EEXIST). 0, or an errno. */
int box_move(int from, const char *name, int to, const char *as);

/* Flushes the parents of a directory: those on its file system, as far up as the directory below
 * belongs to us. It may have been made by a run that died before it could flush. */
bool box_flush_parents(const char *path, struct err *err);

#endif
