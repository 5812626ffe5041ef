/* fuzz_spelled.c: whatever line people write, what comes out is one request or none. */
#include "tests/fuzz/fuzz.h"

#include "core/policy/request.h"
#include "core/policy/spelled.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char memory[REQUEST_SIZE_MAX];
    struct writer w = writer_on(memory, sizeof(memory));
    struct request_frame frame = {0, 0};
    struct request request;
    const char *why = NULL;
    size_t framed = 0;
    if (!spelled_write(fuzz_text(data, size), &w))
        return 0;
    HOLDS(!w.full);
    enum request_status status = request_frame(&frame, writer_text(&w), &framed, &why);
    HOLDS(status != REQUEST_MORE);
    if (status == REQUEST_BAD) /* a value or a line that no request may have */
        return 0;
    HOLDS(framed == writer_text(&w).size);
    HOLDS(request_parse(writer_text(&w), &request, &why));
    return 0;
}
