/*
 * The IMAP engine, taken through a session; see drive.h for the input and for what must hold.
 */
#include "drive.h"
#include "fuzz.h"
#include "proto/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	drive(imap_new, true, data, size);
	return 0;
}
