/*
 * spool: the directory in which letters stand until an MDA has taken them, and the quarantine.
 *
 * STATE_DIR/spool holds letters flat, by name. STATE_DIR/quarantine is a Maildir, so that people
 * can read what stands there with a mail reader. The functions are those of struct sink_ops that do
 * not depend on the program a letter is handed to.
 */
#ifndef MAILHAUL_DELIVER_SPOOL_H
#define MAILHAUL_DELIVER_SPOOL_H

#include "deliver/sink.h"

struct spool;

/* Copies state_dir. Nothing is made before spool_open(). */
struct spool *spool_new(const char *state_dir);
void spool_free(struct spool **spool);

bool spool_open(struct spool *spool, struct err *err);
int spool_directory(const struct spool *spool);
const char *spool_path(const struct spool *spool);
bool spool_flush(struct spool *spool, struct err *err);

/* SINK_TMP if the letter stands there, SINK_PLACED if it is in the quarantine, else SINK_NOWHERE.
 */
bool spool_find(struct spool *spool, const char *name, enum sink_where *where_r, struct err *err);
bool spool_strays(struct spool *spool, const char *mark, void (*stray)(void *ctx, const char *name),
		  void *ctx, struct err *err);
bool spool_discard(struct spool *spool, const char *name, struct err *err);
bool spool_quarantine(struct spool *spool, const char *name, struct err *err);

/* The path of a letter in the quarantine, to be freed; NULL if it is not there. */
bool spool_quarantined(struct spool *spool, const char *name, char **path_r, struct err *err);

/* Takes a letter back from the quarantine into the spool, durably. Its row must say so before: a
 * letter in the spool that no row knows is removed by the next visit. */
bool spool_take_back(struct spool *spool, const char *name, struct err *err);

/* Finishes what spool_take_back() began in a run that died: the letter, which is in the spool, is
 * durable there, and is gone from the quarantine. Once spool_open() was called, many cost little
 * more than one. */
bool spool_hold(struct spool *spool, const char *name, struct err *err);

/* Removes a letter from the quarantine, durably. No letter there is no failure. */
bool spool_drop(struct spool *spool, const char *name, struct err *err);

/* Opens a letter for reading; -1 on failure. */
int spool_read(struct spool *spool, const char *name, struct err *err);

#endif
