/* fuzz_idn.c: two addresses come out the same only where they may. The first byte says where the
 * input is cut in two. */
#include "tests/fuzz/fuzz.h"

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "core/base/idn.h"

/* What may differ, taken away by another way than idn.c's: decomposed, in lower case (`all`: not
 * only of ASCII). NULL: no UTF-8. Freed by the caller. */
static char *plain(struct text t, bool all, size_t *size)
{
    uint8_t *out = u8_normalize(UNINORM_NFD, (const uint8_t *)t.data, t.size, NULL, size);
    uint8_t *lower = NULL;
    if (out == NULL)
        return NULL;
    if (all) {
        lower = u8_casefold(out, *size, NULL, UNINORM_NFD, NULL, size);
        free(out);
        return (char *)lower;
    }
    for (size_t i = 0; i < *size; i++)
        out[i] = (uint8_t)text_lower((char)out[i]);
    return (char *)out;
}

static bool same_plain(struct text a, struct text b, bool all)
{
    size_t a_size = 0;
    size_t b_size = 0;
    char *left = plain(a, all, &a_size);
    char *right = plain(b, all, &b_size);
    bool same =
        left != NULL && right != NULL && a_size == b_size && memcmp(left, right, a_size) == 0;
    free(left);
    free(right);
    return same;
}

static bool is_utf8(struct text t)
{
    return t.size == 0 || u8_check((const uint8_t *)t.data, t.size) == NULL;
}

static struct text form(bool (*make)(struct text, struct writer *), struct text t, bool *fine)
{
    size_t room = IDN_ROOM(t.size);
    char *memory = malloc(room);
    HOLDS(memory != NULL);
    struct writer w = writer_on(memory, room);
    *fine = make(t, &w);
    HOLDS(!w.full);
    return writer_text(&w);
}

static bool has_capital(struct text t)
{
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] >= 'A' && t.data[i] <= 'Z')
            return true;
    }
    return false;
}

/* A form is its own form; an escaped one shows it by its capitals. */
static void check_form(bool (*make)(struct text, struct writer *), struct text out, bool fine)
{
    bool again_fine;
    HOLDS(has_capital(out) == !fine);
    if (!fine)
        return;
    struct text again = form(make, out, &again_fine);
    /* A domain may end in two dots, of which neither is dropped; so nothing changes. */
    HOLDS(again_fine && text_equal(out, again));
    free((void *)(uintptr_t)again.data);
}

static void compare_locals(struct text a, struct text b)
{
    bool a_fine;
    bool b_fine;
    struct text left = form(idn_local, a, &a_fine);
    struct text right = form(idn_local, b, &b_fine);
    if (a.size <= IDN_NORMALISED_MAX)
        check_form(idn_local, left, a_fine);
    HOLDS(a_fine == is_utf8(a));
    if (text_equal(left, right)) {
        HOLDS(a_fine == b_fine);
        HOLDS(a_fine ? same_plain(a, b, false) : text_equal_fold(a, b));
    }
    free((void *)(uintptr_t)left.data);
    free((void *)(uintptr_t)right.data);
}

static struct text without_dot(struct text t)
{
    if (t.size > 1 && t.data[t.size - 1] == '.' && t.data[t.size - 2] != '.')
        t.size--;
    return t;
}

/* As U-labels; NULL where libidn2 does not know. */
static char *unicode_of(struct text t)
{
    char *lower = malloc(t.size + 1);
    char *out = NULL;
    HOLDS(lower != NULL);
    for (size_t i = 0; i < t.size; i++)
        lower[i] = text_lower(t.data[i]);
    lower[t.size] = '\0';
    if (memchr(lower, '\0', t.size) != NULL || idn2_to_unicode_8z8z(lower, &out, 0) != IDN2_OK)
        out = NULL;
    free(lower);
    return out;
}

static void check_same_domain(struct text a, struct text b)
{
    if (text_equal_fold(a, b))
        return;
    char *left = unicode_of(a);
    char *right = unicode_of(b);
    if (left != NULL && right != NULL)
        HOLDS(same_plain(text_of(left), text_of(right), true));
    idn2_free(left);
    idn2_free(right);
}

static void compare_domains(struct text a, struct text b)
{
    bool a_fine;
    bool b_fine;
    struct text left = form(idn_domain, a, &a_fine);
    struct text right = form(idn_domain, b, &b_fine);
    check_form(idn_domain, left, a_fine);
    for (size_t i = 0; i < left.size; i++)
        HOLDS((unsigned char)left.data[i] < 0x80);
    if (text_equal(left, right)) {
        HOLDS(a_fine == b_fine);
        if (a_fine)
            check_same_domain(without_dot(a), without_dot(b));
        else
            HOLDS(text_equal_fold(without_dot(a), without_dot(b)));
    }
    free((void *)(uintptr_t)left.data);
    free((void *)(uintptr_t)right.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t cut = data[0] < size - 1 ? data[0] : size - 1;
    struct text a = fuzz_text(data + 1, cut);
    struct text b = fuzz_text(data + 1 + cut, size - 1 - cut);
    compare_locals(a, b);
    compare_domains(a, b);
    return 0;
}
