/*
 * Decimal numbers, exactly: a double is a whole number of powers of two, and every one of those has
 * an end in decimal digits. Long division is slow and right, and a policy writes few numbers.
 */
#include "json.h"

/* 2^-1074 has 751 significant digits, 2^1023 has 309. */
#define LIMBS 128
#define BASE 1000000000u

typedef struct {
    uint8_t digits[LIMBS * 9];
    uint32_t count;
    /* The number is 0.digits * 10^point. */
    int32_t point;
} decimal;

static void multiply(uint32_t *limbs, uint32_t *used, uint32_t by) {
    uint64_t carry = 0;
    for (uint32_t at = 0; at < *used; at++) {
        carry += (uint64_t)limbs[at] * by;
        limbs[at] = (uint32_t)(carry % BASE);
        carry /= BASE;
    }
    if (carry > 0) limbs[(*used)++] = (uint32_t)carry;
}

static void expand(double value, decimal *out) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int32_t exponent = (int32_t)((bits >> 52) & 2047);
    uint64_t mantissa = bits & ((1ull << 52) - 1);
    if (exponent > 0) mantissa |= 1ull << 52;
    else exponent = 1;
    exponent -= 1075;
    uint32_t limbs[LIMBS] = {0}, used = 3;
    limbs[0] = (uint32_t)(mantissa % BASE);
    limbs[1] = (uint32_t)(mantissa / BASE % BASE);
    limbs[2] = (uint32_t)(mantissa / BASE / BASE);
    int32_t after = exponent < 0 ? -exponent : 0;
    for (int32_t left = exponent; left > 0; left -= 28) {
        multiply(limbs, &used, 1u << (left < 28 ? left : 28));
    }
    for (int32_t left = after; left > 0; left -= 12) {
        uint32_t by = 1;
        for (int32_t power = 0; power < 12 && power < left; power++) by *= 5;
        multiply(limbs, &used, by);
    }
    /* Digits from the front, without leading and trailing zeros. */
    out->count = 0;
    bool begun = false;
    int32_t before = -after;
    for (uint32_t at = used; at-- > 0;) {
        for (uint32_t unit = BASE / 10; unit > 0; unit /= 10) {
            uint8_t digit = (uint8_t)(limbs[at] / unit % 10);
            begun = begun || digit != 0;
            if (!begun) continue;
            out->digits[out->count++] = digit;
            before++;
        }
    }
    while (out->count > 0 && out->digits[out->count - 1] == 0) out->count--;
    out->point = out->count == 0 ? 0 : before;
}

/* Keeps so many digits, rounding half to even. */
static void round_to(decimal *number, int32_t keep) {
    if (keep < 0) number->count = 0;
    if (keep < 0 || (uint32_t)keep >= number->count) return;
    uint32_t kept = (uint32_t)keep;
    uint8_t next = number->digits[kept];
    bool exactly_half = next == 5 && number->count == kept + 1;
    bool odd = kept > 0 && number->digits[kept - 1] % 2 == 1;
    bool up = next > 5 || (next == 5 && (!exactly_half || odd));
    number->count = kept;
    while (up && number->count > 0) {
        if (number->digits[number->count - 1] < 9) {
            number->digits[number->count - 1]++;
            return;
        }
        number->count--;
    }
    if (up) {
        number->digits[0] = 1;
        number->count = 1;
        number->point++;
    }
}

static uint8_t digit_at(const decimal *number, int32_t at) {
    return at < 0 || at >= (int32_t)number->count ? 0 : number->digits[at];
}

static bool is_negative(double value) { return __builtin_signbit(value) != 0; }

pw_text pw_number_fixed(double value, uint32_t digits) {
    if (!__builtin_isfinite(value)) return pw_str(value != value ? "NaN" : value > 0 ? "inf" : "-inf");
    decimal number;
    expand(value, &number);
    round_to(&number, number.point + (int32_t)digits);
    pw_buffer buffer = {0};
    if (is_negative(value)) pw_push_byte(&buffer, '-');
    for (int32_t at = number.point < 1 ? number.point - 1 : 0; at < number.point; at++) {
        pw_push_byte(&buffer, (uint8_t)('0' + digit_at(&number, at)));
    }
    if (digits > 0) pw_push_byte(&buffer, '.');
    for (uint32_t at = 0; at < digits; at++) {
        pw_push_byte(&buffer, (uint8_t)('0' + digit_at(&number, number.point + (int32_t)at)));
    }
    return (pw_text){buffer.ptr, buffer.len};
}

pw_text pw_number_text(double value) {
    pw_buffer buffer = {0};
    if (is_negative(value)) pw_push_byte(&buffer, '-');
    double whole = value < 0 ? -value : value;
    if (whole < 9007199254740992.0 && __builtin_trunc(whole) == whole) {
        pw_push_unsigned(&buffer, (uint64_t)whole, 1);
        return (pw_text){buffer.ptr, buffer.len};
    }
    decimal number;
    expand(value, &number);
    round_to(&number, 17);
    pw_push(&buffer, "0.", 2);
    for (uint32_t at = 0; at < number.count; at++) pw_push_byte(&buffer, (uint8_t)('0' + number.digits[at]));
    pw_push_byte(&buffer, 'e');
    if (number.point < 0) pw_push_byte(&buffer, '-');
    pw_push_unsigned(&buffer, (uint64_t)(number.point < 0 ? -number.point : number.point), 1);
    return (pw_text){buffer.ptr, buffer.len};
}

static double power_of_ten(int32_t exponent) {
    double power = 1, base = 10;
    for (uint32_t left = (uint32_t)(exponent < 0 ? -exponent : exponent); left > 0; left >>= 1) {
        if (left & 1) power *= base;
        base *= base;
    }
    return power;
}

/* Whether seventeen digits of a candidate are those that were read. */
static bool has_digits(double candidate, uint64_t mantissa, int32_t point) {
    decimal number;
    expand(candidate, &number);
    round_to(&number, 17);
    uint64_t digits = 0;
    for (int32_t at = 0; at < 17; at++) digits = digits * 10 + digit_at(&number, at);
    while (mantissa != 0 && mantissa < 10000000000000000ull) mantissa *= 10;
    return digits == mantissa && number.point == point;
}

/*
 * Up to fifteen digits and small powers of ten are exact (W. D. Clinger, 1990). Beyond them the
 * neighbours are tried, of which one has the seventeen digits that pw_number_text wrote.
 */
double pw_number_parse(const uint8_t *text, size_t length) {
    uint64_t mantissa = 0;
    int32_t exponent = 0, digits = 0, said = 0;
    bool negative = length > 0 && text[0] == '-', fraction = false, small = false;
    size_t at = negative ? 1 : 0;
    for (; at < length && text[at] != 'e' && text[at] != 'E'; at++) {
        if (text[at] == '.') {
            fraction = true;
        } else if (digits < 17) {
            mantissa = mantissa * 10 + (uint64_t)(text[at] - '0');
            digits += mantissa > 0;
            exponent -= fraction;
        } else {
            exponent += !fraction;
        }
    }
    for (at++; at < length; at++) {
        if (text[at] == '-') small = true;
        else if (text[at] != '+' && said < 10000) said = said * 10 + (text[at] - '0');
    }
    exponent += small ? -said : said;
    double value = (double)mantissa;
    if (exponent < -300) value = value / 1e250 / power_of_ten(-exponent - 250);
    else if (exponent < 0) value /= power_of_ten(exponent);
    else value *= power_of_ten(exponent);
    if (digits > 15 && value > 0 && __builtin_isfinite(value)) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        for (uint64_t try = 0; try < 17; try++) {
            uint64_t near = bits + (try % 2 == 0 ? try / 2 : (uint64_t)0 - (try + 1) / 2);
            double candidate;
            memcpy(&candidate, &near, sizeof candidate);
            if (has_digits(candidate, mantissa, exponent + digits)) value = candidate;
        }
    }
    return negative ? -value : value;
}
