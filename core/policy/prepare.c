/* prepare.c: see prepare.h. */
#include "core/policy/prepare.h"

/* Seconds; later than the year 9999 is no time but a trick. */
#define TEST_TIME_MAX INT64_C(253402300799)

static int64_t request_time(const struct request *r, int64_t wall, bool test_clock)
{
    int64_t seconds;
    if (test_clock && text_number(r->attribute[ATTRIBUTE_policy_test_time], &seconds) &&
        seconds >= 0 && seconds <= TEST_TIME_MAX)
        return seconds * 1000;
    return wall;
}

static void split_address(struct text address, struct text *local, struct text *domain)
{
    *local = address;
    *domain = (struct text){NULL, 0};
    for (size_t i = address.size; i > 0; i--) {
        if (address.data[i - 1] == '@') {
            local->size = i - 1;
            *domain = (struct text){address.data + i, address.size - i};
            return;
        }
    }
}

void prepare(struct request *r, int64_t wall, bool test_clock)
{
    struct text state = r->attribute[ATTRIBUTE_protocol_state];
    r->now = request_time(r, wall, test_clock);
    r->at_rcpt = state.size == 0 || text_equal_fold(state, TEXT("RCPT"));
    addr_parse(r->attribute[ATTRIBUTE_client_address], &r->client);
    split_address(r->attribute[ATTRIBUTE_recipient], &r->local, &r->domain);
}
