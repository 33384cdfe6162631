/*
 * ask: asks the daemon that holds the state, through its socket; see daemon/control.h.
 */
#include "cmd/ask.h"

#include "daemon/control.h"
#include "daemon/visit_json.h"
#include "io/local.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A daemon that has said nothing for so long is stuck: it says that it lives more often. */
enum { ASK_SILENCE_MS = 5 * CONTROL_ALIVE_MS };

struct ask {
	struct local_client *client;
};

struct ask *ask_new(const struct config *config, struct err *err)
{
	char *path = mem_printf("%s/control.sock", config->state_dir);
	struct local_client *client = NULL;
	struct ask *ask = NULL;

	err_clear(err);
	if (!access(path, F_OK) || errno != ENOENT)
		client = local_connect(path, err);
	free(path);
	if (client) {
		ask = mem_new(1, sizeof *ask);
		ask->client = client;
	}
	return ask;
}

void ask_free(struct ask **ask_p)
{
	struct ask *ask = *ask_p;

	*ask_p = NULL;
	if (!ask)
		return;
	local_close(&ask->client);
	free(ask);
}

bool ask_tell(struct ask *ask, json_t *request, struct err *err)
{
	char *line;
	bool ok;

	json_object_set_new(request, "version", json_integer(VISIT_JSON_VERSION));
	line = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(request);
	if (line && strlen(line) <= LOCAL_LINE_MAX)
		ok = local_tell(ask->client, line, err);
	else
		ok = err_set(err, ERR_USAGE, "so many names cannot be told to the daemon at once");
	free(line);
	return ok;
}

static bool hear(struct ask *ask, json_t **answer_r, struct err *err)
{
	char *line = local_hear(ask->client, ASK_SILENCE_MS, err);

	if (!line)
		return err->kind ? false
				 : err_set(err, ERR_TEMPORARY, "the daemon ended in the middle");
	*answer_r = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	return *answer_r || err_set(err, ERR_INTERNAL, "the daemon's answer is no JSON");
}

static bool is_error(const json_t *answer, const char *event, struct err *err)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	if (event && strcmp(event, "error") != 0)
		return false;
	err_set(err, ERR_INTERNAL, "the daemon does not serve this: %s",
		text ? text : "it does not say why");
	return true;
}

json_t *ask_next(struct ask *ask, const char **event_r, struct err *err)
{
	json_t *answer = NULL;

	while (hear(ask, &answer, err)) {
		*event_r = json_string_value(json_object_get(answer, "event"));
		if (is_error(answer, *event_r, err)) {
			json_decref(answer);
			return NULL;
		}
		if (strcmp(*event_r, "alive") != 0)
			return answer;
		json_decref(answer);
	}
	return NULL;
}
