/*
 * pop3_list: what a POP3 mailbox holds, by UIDL and LIST (RFC 1939 sections 5 and 7).
 *
 * Equal unique-ids are legal for identical copies: each occurrence is a message of its own, told
 * apart by its rank among them.
 */
#include "proto/pop3_list.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

const char *pop3_list_add(struct pop3_list *list, uint32_t number, const unsigned char *id,
			  size_t len)
{
	if (!len)
		return "no unique-id";
	if (len > POP3_ID_MAX)
		return "a unique-id that is too long";
	for (size_t i = 0; i < len; i++)
		if (id[i] < 0x21 || id[i] > 0x7e)
			return "a unique-id with characters that it must not have";
	if (list->ids.len + len >= POP3_IDS_MAX)
		return "more unique-ids than fit into memory";
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 64;
		list->messages = mem_resize(list->messages, list->room, sizeof *list->messages);
	}
	list->messages[list->count++] =
	    (struct pop3_message){.number = number, .nth = 1, .id = list->ids.len};
	buf_append(&list->ids, id, len);
	buf_append(&list->ids, "", 1);
	return NULL;
}

static const char *id_of(const struct pop3_list *list, const struct pop3_message *message)
{
	return (const char *)list->ids.data + message->id;
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = ((const struct pop3_message *)a)->number;
	uint32_t right = ((const struct pop3_message *)b)->number;

	return (left > right) - (left < right);
}

static int by_id(const void *a, const void *b, void *context)
{
	const struct pop3_list *list = context;
	const struct pop3_message *left = &list->messages[*(const uint32_t *)a];
	const struct pop3_message *right = &list->messages[*(const uint32_t *)b];
	int order = strcmp(id_of(list, left), id_of(list, right));

	return order ? order : by_number(left, right);
}

static void rank(struct pop3_list *list)
{
	uint32_t *order = mem_new(list->count, sizeof *order);

	for (size_t i = 0; i < list->count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, list->count, sizeof *order, by_id, list);
	for (size_t i = 1; i < list->count; i++) {
		const struct pop3_message *before = &list->messages[order[i - 1]];
		struct pop3_message *message = &list->messages[order[i]];

		if (!strcmp(id_of(list, before), id_of(list, message)))
			message->nth = before->nth + 1;
	}
	free(order);
}

bool pop3_list_seal(struct pop3_list *list)
{
	if (!list->count)
		return true;
	qsort(list->messages, list->count, sizeof *list->messages, by_number);
	for (size_t i = 1; i < list->count; i++)
		if (list->messages[i].number == list->messages[i - 1].number)
			return false;
	rank(list);
	return true;
}

struct pop3_message *pop3_list_find(const struct pop3_list *list, uint32_t number)
{
	struct pop3_message wanted = {.number = number};

	if (!list->count)
		return NULL;
	/* Nearly always nothing is missing, and the number tells the place. */
	if (number && number <= list->count && list->messages[number - 1].number == number)
		return &list->messages[number - 1];
	return bsearch(&wanted, list->messages, list->count, sizeof wanted, by_number);
}

const char *pop3_list_key(const struct pop3_list *list, const struct pop3_message *message,
			  struct buf *key_r)
{
	buf_clear(key_r);
	buf_text(key_r, id_of(list, message));
	if (message->nth > 1)
		buf_printf(key_r, " %u", message->nth);
	return buf_string(key_r);
}

void pop3_list_forget(struct pop3_list *list)
{
	free(list->messages);
	buf_free(&list->ids);
	*list = (struct pop3_list){0};
}
