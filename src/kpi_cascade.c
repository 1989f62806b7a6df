/*
 * kpi_cascade.c
 *		The library's identity and its start.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
