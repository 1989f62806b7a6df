/*
 * tally.c
 *		kpi_tally: arithmetic on the working form, its order, the text form and the
 *		frozen disk form.
 *
 * Layout of the varlena's data, version 1 (frozen):
 *
 *		byte 0		version, 1
 *		byte 1		flags, see below; all others are reserved and 0
 *		then		n, sum of v, sum of w, sum of v*w, minimum, maximum, each
 *					unless a flag says otherwise.  On disk that is a 16-bit
 *					word that counts the words to follow, and those words: a
 *					trimmed numeric as the server stores it, without its
 *					length; all in the machine's byte order.  On the wire it is
 *					the binary form of a trimmed numeric.
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

#include "compat.h"
#include "lib/stringinfo.h"
#include "tally.h"
#include "utils/builtins.h"

#define TALLY_FIELDS			6

/* what numeric holds in any case */
#define TEXT_MAX_BEFORE_POINT	131072
#define TEXT_MAX_AFTER_POINT	16383

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

/* Nothing observed comes before known extremes, and those before unknown ones. */
static int
extremes_rank(const KpiTally *tally)
{
	return tally->extremes_unknown ? 2 : tally->minimum != NULL ? 1 : 0;
}

int
kpi_tally_compare(const KpiTally *a, const KpiTally *b)
{
	int			order = kpi_number_compare(a->n, b->n);

	if (order == 0)
		order = kpi_number_compare(a->sum_value, b->sum_value);
	if (order == 0)
		order = kpi_number_compare(a->sum_weight, b->sum_weight);
	if (order == 0)
		order = kpi_number_compare(a->sum_product, b->sum_product);
	if (order == 0)
		order = extremes_rank(a) - extremes_rank(b);
	if (order == 0 && a->minimum != NULL)
		order = kpi_number_compare(a->minimum, b->minimum);
	if (order == 0 && a->minimum != NULL)
		order = kpi_number_compare(a->maximum, b->maximum);
	return order;
}

/* ---- the text form, {n=3,value=6,weight=3,product=12,min=1,max=3} ---- */

static void
write_number(StringInfo text, const char *key, Numeric number)
{
	appendStringInfo(text, "%s%s", key,
					 DatumGetCString(DirectFunctionCall1(numeric_out,
														 NumericGetDatum(number))));
}

char *
kpi_tally_to_text(const KpiTally *tally)
{
	StringInfoData text;

	initStringInfo(&text);
	write_number(&text, "{n=", tally->n);
	write_number(&text, ",value=", tally->sum_value);
	write_number(&text, ",weight=", tally->sum_weight);
	write_number(&text, ",product=", tally->sum_product);
	if (tally->extremes_unknown)
		appendStringInfoString(&text, ",min=?,max=?");
	else if (tally->minimum != NULL)
	{
		write_number(&text, ",min=", tally->minimum);
		write_number(&text, ",max=", tally->maximum);
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}

static bool
skip_word(const char **at, const char *word)
{
	size_t		length = strlen(word);

	if (strncmp(*at, word, length) != 0)
		return false;
	*at += length;
	return true;
}

static void
skip_space(const char **at)
{
	*at += strspn(*at, " \t\n\r\f\v");
}

/* key and a plain decimal number, never more digits than numeric takes */
static bool
parse_number(const char **at, const char *key, Numeric *number)
{
	const char *start;
	size_t		before;
	size_t		after = 0;
	char	   *copy;
	Numeric		untrimmed;

	if (!skip_word(at, key))
		return false;
	start = *at;
	skip_word(at, "-");
	before = strspn(*at, "0123456789");
	*at += before;
	if (skip_word(at, "."))
	{
		after = strspn(*at, "0123456789");
		*at += after;
		if (after == 0)
			return false;
	}
	if (before == 0 || before > TEXT_MAX_BEFORE_POINT || after > TEXT_MAX_AFTER_POINT)
		return false;
	copy = pnstrdup(start, *at - start);
	untrimmed = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(copy),
													ObjectIdGetDatum(InvalidOid),
													Int32GetDatum(-1)));
	*number = kpi_number_trim(untrimmed);
	pfree(untrimmed);
	pfree(copy);
	return true;
}

bool
kpi_tally_from_text(const char *text, KpiTally *tally)
{
	const char *at = text;

	memset(tally, 0, sizeof(*tally));
	skip_space(&at);
	if (!parse_number(&at, "{n=", &tally->n) ||
		!parse_number(&at, ",value=", &tally->sum_value) ||
		!parse_number(&at, ",weight=", &tally->sum_weight) ||
		!parse_number(&at, ",product=", &tally->sum_product))
		return false;
	if (skip_word(&at, ",min=?,max=?"))
		tally->extremes_unknown = true;
	else if (*at == ',' &&
			 (!parse_number(&at, ",min=", &tally->minimum) ||
			  !parse_number(&at, ",max=", &tally->maximum) ||
			  kpi_number_compare(tally->minimum, tally->maximum) > 0))
		return false;
	if (!skip_word(&at, "}"))
		return false;
	skip_space(&at);
	return *at == '\0';
}

/* ---- the disk form ---- */

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
		flags |= KPI_TALLY_WEIGHT_IS_N;
	else
		fields[count++] = kpi_number_trim(tally->sum_weight);
	if (kpi_number_same(tally->sum_product, tally->sum_value))
		flags |= KPI_TALLY_PRODUCT_IS_VALUE;
	else
		fields[count++] = kpi_number_trim(tally->sum_product);
	if (tally->extremes_unknown)
		flags |= KPI_TALLY_EXTREMES_UNKNOWN;
	else if (tally->minimum != NULL)
	{
		flags |= KPI_TALLY_HAS_EXTREMES;
		fields[count++] = kpi_number_trim(tally->minimum);
		if (kpi_number_same(tally->maximum, tally->minimum))
			flags |= KPI_TALLY_ONE_EXTREME;
		else
			fields[count++] = kpi_number_trim(tally->maximum);
	}

	for (int i = 0; i < count; i++)
		size += sizeof(uint16) + VARSIZE(fields[i]) - VARHDRSZ;
	packed = (struct varlena *) palloc(size);
	SET_VARSIZE(packed, size);
	at = VARDATA(packed);
	*at++ = KPI_TALLY_VERSION;
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
	if (version != KPI_TALLY_VERSION || (flags & ~KPI_TALLY_ALL_FLAGS) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored kpi_tally has version %d and flags %d, which this library cannot read",
						version, flags)));

	tally->n = read_number(&reader);
	tally->sum_value = read_number(&reader);
	tally->sum_weight = (flags & KPI_TALLY_WEIGHT_IS_N) ?
		kpi_number_copy(tally->n) : read_number(&reader);
	tally->sum_product = (flags & KPI_TALLY_PRODUCT_IS_VALUE) ?
		kpi_number_copy(tally->sum_value) : read_number(&reader);
	tally->extremes_unknown = (flags & KPI_TALLY_EXTREMES_UNKNOWN) != 0;
	tally->minimum = NULL;
	tally->maximum = NULL;
	if (flags & KPI_TALLY_HAS_EXTREMES)
	{
		tally->minimum = read_number(&reader);
		tally->maximum = (flags & KPI_TALLY_ONE_EXTREME) ?
			kpi_number_copy(tally->minimum) : read_number(&reader);
	}
	if (reader.at != reader.end)
		report_damage();
}
