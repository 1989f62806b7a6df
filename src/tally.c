/*
 * tally.c
 *		kpi_tally: arithmetic on the working form, and the frozen disk form.
 *
 * Layout of the varlena's data, version 1 (words are 16 bits, in the machine's
 * byte order; the binary form on the wire is the same in network order):
 *
 *		byte 0		version, 1
 *		byte 1		flags, see below; all others are reserved and 0
 *		then		n, sum of v, sum of w, sum of v*w, minimum, maximum, each
 *					unless a flag says otherwise as one word that counts the
 *					words to follow, and those words: a trimmed numeric as the
 *					server stores it, without its length word
 *
 *		0x01		extremes are unknown: minimum and maximum are left out
 *		0x02		extremes are there; if neither bit is set, nothing that has
 *					a value was observed and they are left out
 *		0x04		the sum of w equals n and is left out
 *		0x08		the sum of v*w equals the sum of v and is left out
 *		0x10		maximum equals minimum and is left out
 *
 * What can be left out is left out, so there is one form for each tally: equal
 * tallies are identical in bytes, and hash and equality look at bytes alone.
 * Facts of weight 1 take half the space that way.  Words are copied, never read
 * in place, because a packed datum gives them any alignment.
 */
#include "postgres.h"

#include "tally.h"

#define TALLY_VERSION			1

#define TALLY_EXTREMES_UNKNOWN	0x01
#define TALLY_HAS_EXTREMES		0x02
#define TALLY_WEIGHT_IS_N		0x04
#define TALLY_PRODUCT_IS_VALUE	0x08
#define TALLY_ONE_EXTREME		0x10
#define TALLY_ALL_FLAGS			0x1F

#define TALLY_FIELDS			6

typedef struct Reader
{
	const char *at;
	const char *end;
} Reader;

/* puts number in place of *field and frees what was there */
static void
replace(Numeric *field, Numeric number)
{
	if (*field != NULL)
		pfree(*field);
	*field = number;
}

void
kpi_tally_init(KpiTally *tally)
{
	tally->n = kpi_number_from_int(0);
	tally->sum_value = kpi_number_from_int(0);
	tally->sum_weight = kpi_number_from_int(0);
	tally->sum_product = kpi_number_from_int(0);
	tally->minimum = NULL;
	tally->maximum = NULL;
	tally->extremes_unknown = false;
}

void
kpi_tally_free(KpiTally *tally)
{
	replace(&tally->n, NULL);
	replace(&tally->sum_value, NULL);
	replace(&tally->sum_weight, NULL);
	replace(&tally->sum_product, NULL);
	replace(&tally->minimum, NULL);
	replace(&tally->maximum, NULL);
}

void
kpi_tally_copy(KpiTally *into, const KpiTally *from)
{
	into->n = kpi_number_copy(from->n);
	into->sum_value = kpi_number_copy(from->sum_value);
	into->sum_weight = kpi_number_copy(from->sum_weight);
	into->sum_product = kpi_number_copy(from->sum_product);
	into->minimum = from->minimum ? kpi_number_copy(from->minimum) : NULL;
	into->maximum = from->maximum ? kpi_number_copy(from->maximum) : NULL;
	into->extremes_unknown = from->extremes_unknown;
}

static void
forget_extremes(KpiTally *tally)
{
	replace(&tally->minimum, NULL);
	replace(&tally->maximum, NULL);
	tally->extremes_unknown = true;
}

static void
widen_extremes(KpiTally *tally, Numeric low, Numeric high)
{
	if (tally->extremes_unknown)
		return;
	if (tally->minimum == NULL || kpi_number_compare(low, tally->minimum) < 0)
		replace(&tally->minimum, kpi_number_trim(low));
	if (tally->maximum == NULL || kpi_number_compare(high, tally->maximum) > 0)
		replace(&tally->maximum, kpi_number_trim(high));
}

void
kpi_tally_observe(KpiTally *tally, Numeric value, Numeric weight)
{
	Numeric		one = kpi_number_from_int(1);
	Numeric		product = kpi_number_multiply(value, weight);

	replace(&tally->n, kpi_number_add(tally->n, one));
	replace(&tally->sum_value, kpi_number_add(tally->sum_value, value));
	replace(&tally->sum_weight, kpi_number_add(tally->sum_weight, weight));
	replace(&tally->sum_product, kpi_number_add(tally->sum_product, product));
	widen_extremes(tally, value, value);
	pfree(one);
	pfree(product);
}

void
kpi_tally_merge(KpiTally *into, const KpiTally *from)
{
	replace(&into->n, kpi_number_add(into->n, from->n));
	replace(&into->sum_value, kpi_number_add(into->sum_value, from->sum_value));
	replace(&into->sum_weight, kpi_number_add(into->sum_weight, from->sum_weight));
	replace(&into->sum_product, kpi_number_add(into->sum_product, from->sum_product));
	if (from->extremes_unknown)
		forget_extremes(into);
	else if (from->minimum != NULL)
		widen_extremes(into, from->minimum, from->maximum);
}

void
kpi_tally_subtract(KpiTally *into, const KpiTally *from)
{
	replace(&into->n, kpi_number_subtract(into->n, from->n));
	replace(&into->sum_value, kpi_number_subtract(into->sum_value, from->sum_value));
	replace(&into->sum_weight, kpi_number_subtract(into->sum_weight, from->sum_weight));
	replace(&into->sum_product, kpi_number_subtract(into->sum_product, from->sum_product));
	forget_extremes(into);
}

void
kpi_tally_scale(KpiTally *tally, Numeric factor)
{
	replace(&tally->n, kpi_number_multiply(tally->n, factor));
	replace(&tally->sum_value, kpi_number_multiply(tally->sum_value, factor));
	replace(&tally->sum_weight, kpi_number_multiply(tally->sum_weight, factor));
	replace(&tally->sum_product, kpi_number_multiply(tally->sum_product, factor));
}

bool
kpi_tally_equal(const KpiTally *a, const KpiTally *b)
{
	return a->extremes_unknown == b->extremes_unknown &&
		kpi_number_same(a->n, b->n) &&
		kpi_number_same(a->sum_value, b->sum_value) &&
		kpi_number_same(a->sum_weight, b->sum_weight) &&
		kpi_number_same(a->sum_product, b->sum_product) &&
		kpi_number_same(a->minimum, b->minimum) &&
		kpi_number_same(a->maximum, b->maximum);
}

struct varlena *
kpi_tally_pack(const KpiTally *tally)
{
	Numeric		fields[TALLY_FIELDS];
	int			count = 0;
	uint8		flags = 0;
	Size		size = VARHDRSZ + 2;
	struct varlena *packed;
	char	   *at;

	fields[count++] = kpi_number_trim(tally->n);
	fields[count++] = kpi_number_trim(tally->sum_value);
	if (kpi_number_same(tally->sum_weight, tally->n))
		flags |= TALLY_WEIGHT_IS_N;
	else
		fields[count++] = kpi_number_trim(tally->sum_weight);
	if (kpi_number_same(tally->sum_product, tally->sum_value))
		flags |= TALLY_PRODUCT_IS_VALUE;
	else
		fields[count++] = kpi_number_trim(tally->sum_product);
	if (tally->extremes_unknown)
		flags |= TALLY_EXTREMES_UNKNOWN;
	else if (tally->minimum != NULL)
	{
		flags |= TALLY_HAS_EXTREMES;
		fields[count++] = kpi_number_trim(tally->minimum);
		if (kpi_number_same(tally->maximum, tally->minimum))
			flags |= TALLY_ONE_EXTREME;
		else
			fields[count++] = kpi_number_trim(tally->maximum);
	}

	for (int i = 0; i < count; i++)
		size += sizeof(uint16) + VARSIZE(fields[i]) - VARHDRSZ;
	packed = (struct varlena *) palloc(size);
	SET_VARSIZE(packed, size);
	at = VARDATA(packed);
	*at++ = TALLY_VERSION;
	*at++ = (char) flags;
	for (int i = 0; i < count; i++)
	{
		Size		bytes = VARSIZE(fields[i]) - VARHDRSZ;
		uint16		words = (uint16) (bytes / sizeof(uint16));

		memcpy(at, &words, sizeof(words));
		memcpy(at + sizeof(words), VARDATA(fields[i]), bytes);
		at += sizeof(words) + bytes;
		pfree(fields[i]);
	}
	return packed;
}

static void
report_damage(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored kpi_tally is damaged")));
}

static Numeric
read_number(Reader *reader)
{
	uint16		words;
	Size		bytes;
	Numeric		number;

	if (reader->end - reader->at < (ptrdiff_t) sizeof(words))
		report_damage();
	memcpy(&words, reader->at, sizeof(words));
	reader->at += sizeof(words);
	bytes = words * sizeof(uint16);
	if (words == 0 || reader->end - reader->at < (ptrdiff_t) bytes)
		report_damage();
	number = (Numeric) palloc(VARHDRSZ + bytes);
	SET_VARSIZE(number, VARHDRSZ + bytes);
	memcpy(VARDATA(number), reader->at, bytes);
	reader->at += bytes;
	return number;
}

void
kpi_tally_unpack(const struct varlena *packed, KpiTally *tally)
{
	Reader		reader;
	uint8		version;
	uint8		flags;

	reader.at = VARDATA_ANY(packed);
	reader.end = reader.at + VARSIZE_ANY_EXHDR(packed);
	if (reader.end - reader.at < 2)
		report_damage();
	version = (uint8) *reader.at++;
	flags = (uint8) *reader.at++;
	if (version != TALLY_VERSION || (flags & ~TALLY_ALL_FLAGS) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored kpi_tally has version %d and flags %d, which this library cannot read",
						version, flags)));

	tally->n = read_number(&reader);
	tally->sum_value = read_number(&reader);
	tally->sum_weight = (flags & TALLY_WEIGHT_IS_N) ?
		kpi_number_copy(tally->n) : read_number(&reader);
	tally->sum_product = (flags & TALLY_PRODUCT_IS_VALUE) ?
		kpi_number_copy(tally->sum_value) : read_number(&reader);
	tally->extremes_unknown = (flags & TALLY_EXTREMES_UNKNOWN) != 0;
	tally->minimum = NULL;
	tally->maximum = NULL;
	if (flags & TALLY_HAS_EXTREMES)
	{
		tally->minimum = read_number(&reader);
		tally->maximum = (flags & TALLY_ONE_EXTREME) ?
			kpi_number_copy(tally->minimum) : read_number(&reader);
	}
	if (reader.at != reader.end)
		report_damage();
}
