/*
 * number.h
 *		Exact arithmetic on numerics, and the one place that rounds.
 *
 * Sums, differences and products are exact.  A quotient is rounded once, half
 * away from zero, to KPI_QUOTIENT_SCALE decimal places (the rule of the
 * reference, "How numbers are rounded").  Every result is trimmed: a numeric
 * that leaves this module carries no trailing zeros, so that equal numbers
 * are also identical in text and in bytes.
 *
 * All functions allocate their result in CurrentMemoryContext and never
 * return one of their arguments, so that a caller may pfree both.
 */
#ifndef KPI_NUMBER_H
#define KPI_NUMBER_H

#include "postgres.h"
#include "utils/numeric.h"

#define KPI_QUOTIENT_SCALE	12

/* Bounds checked at entry, so that no later arithmetic can overflow. */
#define KPI_NUMBER_MAX_INTEGER_DIGITS	30
#define KPI_NUMBER_MAX_SCALE			20

extern Numeric kpi_number_from_int(int64 value);
extern Numeric kpi_number_copy(Numeric a);
/* a without trailing zeros after the decimal point */
extern Numeric kpi_number_trim(Numeric a);
extern Numeric kpi_number_add(Numeric a, Numeric b);
extern Numeric kpi_number_subtract(Numeric a, Numeric b);
extern Numeric kpi_number_multiply(Numeric a, Numeric b);
extern Numeric kpi_number_negate(Numeric a);
extern Numeric kpi_number_absolute(Numeric a);
/* -1, 0 or 1 */
extern int	kpi_number_sign(Numeric a);
/* less than, equal to or greater than 0, as a is to b */
extern int	kpi_number_compare(Numeric a, Numeric b);
/* same value; two nulls are equal */
extern bool kpi_number_same(Numeric a, Numeric b);

/* numerator / denominator, rounded once; the denominator must not be 0 */
extern Numeric kpi_number_quotient(Numeric numerator, Numeric denominator);
/* a rounded half away from zero to KPI_QUOTIENT_SCALE places */
extern Numeric kpi_number_round(Numeric a);

/*
 * Refuses NaN, infinities and numbers beyond the bounds above with
 * ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE; what is the word for the number in the
 * message ("value", "weight").
 */
extern void kpi_number_check(Numeric a, const char *what);
/* the same test without the error */
extern bool kpi_number_is_storable(Numeric a);

#endif							/* KPI_NUMBER_H */
