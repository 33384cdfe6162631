/*
 * crash: named points at which the test build dies as by kill -9.
 *
 * In the program that users get the macro is nothing. In the test build (-DMAILHAUL_CRASH) the
 * environment variable MAILHAUL_CRASH=NAME[:N] kills the process at the Nth visit of NAME (default
 * the first); MAILHAUL_CRASH_LIST=FILE appends the name of each point visited to FILE.
 */
#ifndef MAILHAUL_UTIL_CRASH_H
#define MAILHAUL_UTIL_CRASH_H

#ifdef MAILHAUL_CRASH
void crash_point(const char *name);
#else
#define crash_point(name) ((void)0)
#endif

#endif
