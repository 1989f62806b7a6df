/*
 * digits.h
 *		The digits of a numeric, read and written without numeric's functions.
 *
 * The server keeps the layout of numeric private, but it is what lies in every
 * table, so it cannot change between versions.  After the length come 16-bit
 * words in the machine's byte order:
 *
 *		short form	10 s dddddd wwwwwww: sign, digits after the point, weight
 *		long form	0s dddddddddddddd, then a word with the weight
 *		special		11 ...: NaN and the infinities
 *
 * and then words of four decimal digits each, the first worth 10000^weight.
 * Leading and trailing zero words are never stored, zero has none.  All words
 * are copied out, because a packed datum may lie at any address.
 */
#ifndef KPI_DIGITS_H
#define KPI_DIGITS_H

#include "postgres.h"

#include "compat.h"
#include "utils/numeric.h"

#define KPI_DIGITS_BASE		10000
#define KPI_DIGITS_PER_WORD	4

typedef struct KpiDigits
{
	bool		special;		/* NaN or infinite; nothing below is set */
	bool		negative;
	int			places;			/* digits shown after the decimal point */
	int			weight;			/* the first word is worth 10000^weight */
	int			count;			/* of words; 0 for zero */
	const char *words;
} KpiDigits;

static inline uint16
kpi_digits_load(const char *at)
{
	uint16		word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* number may have a short length header, but must be neither compressed nor external */
static inline KpiDigits
kpi_digits_of(const void *number)
{
	const char *at = VARDATA_ANY(number);
	int			bytes = VARSIZE_ANY_EXHDR(number);
	uint16		header = kpi_digits_load(at);
	KpiDigits	digits = {0};

	switch (header & 0xC000)
	{
		case 0xC000:
			digits.special = true;
			return digits;
		case 0x8000:
			digits.negative = (header & 0x2000) != 0;
			digits.places = (header & 0x1F80) >> 7;
			digits.weight = (header & 0x003F) - (header & 0x0040);
			break;
		default:
			digits.negative = (header & 0x4000) != 0;
			digits.places = header & 0x3FFF;
			at += sizeof(uint16);
			bytes -= sizeof(uint16);
			digits.weight = (int16) kpi_digits_load(at);
			break;
	}
	digits.words = at + sizeof(uint16);
	digits.count = (bytes - (int) sizeof(uint16)) / (int) sizeof(uint16);
	return digits;
}

static inline int
kpi_digits_word(const KpiDigits *digits, int i)
{
	return kpi_digits_load(digits->words + i * sizeof(uint16));
}

/* how many words lie after the point; negative where zero words before it are not stored */
static inline int
kpi_digits_fraction(const KpiDigits *digits)
{
	return digits->count == 0 ? 0 : digits->count - 1 - digits->weight;
}

/* how many zeros end a word that is not zero */
static inline int
kpi_digits_ending_zeros(int word)
{
	return word % 10 != 0 ? 0 : word % 100 != 0 ? 1 : word % 1000 != 0 ? 2 : 3;
}

/* how many of the four digits of a word that is not zero are leading zeros */
static inline int
kpi_digits_leading_zeros(int word)
{
	return word >= 1000 ? 0 : word >= 100 ? 1 : word >= 10 ? 2 : 3;
}

/* how many digits after the point it takes to write the number */
static inline int
kpi_digits_places_needed(const KpiDigits *digits)
{
	int			fraction = kpi_digits_fraction(digits);

	if (fraction <= 0)
		return 0;
	return fraction * KPI_DIGITS_PER_WORD -
		kpi_digits_ending_zeros(kpi_digits_word(digits, digits->count - 1));
}

/*
 * The trimmed numeric of these words, first the most significant; count and
 * weight must suit the short form, as they do for anything of 32 words around
 * the point.  Takes words with leading or trailing zeros.
 */
static inline Numeric
kpi_digits_build(bool negative, const uint16 *words, int count, int weight)
{
	int			places = 0;
	Size		size;
	uint16		header;
	Numeric		number;

	while (count > 0 && words[0] == 0)
	{
		words++;
		count--;
		weight--;
	}
	while (count > 0 && words[count - 1] == 0)
		count--;
	if (count == 0)
	{
		negative = false;
		weight = 0;
	}
	else if (count - 1 > weight)
		places = (count - 1 - weight) * KPI_DIGITS_PER_WORD -
			kpi_digits_ending_zeros(words[count - 1]);
	Assert(places <= 63 && weight >= -64 && weight <= 63);

	size = VARHDRSZ + sizeof(uint16) * (1 + count);
	number = (Numeric) palloc(size);
	SET_VARSIZE(number, size);
	header = (uint16) (0x8000 | (negative ? 0x2000 : 0) | (places << 7) | (weight & 0x7F));
	memcpy(VARDATA(number), &header, sizeof(header));
	if (count > 0)
		memcpy(VARDATA(number) + sizeof(header), words, count * sizeof(uint16));
	return number;
}

#endif							/* KPI_DIGITS_H */
