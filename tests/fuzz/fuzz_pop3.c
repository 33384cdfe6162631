/*
 * The POP3 engine, taken through a session; see drive.h for the input and for what must hold.
 */
#include "drive.h"
#include "fuzz.h"
#include "proto/pop3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	drive(pop3_new, false, data, size);
	return 0;
}
