/* Fuzzes the reading of flow files: any bytes must end in a flow or in a report, never in neither
 * or both; every line of the report has the file's name; and the same bytes give the same report.
 */
#include "base/must.h"
#include "flow/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 leaks a buffer on some broken input; a program that stops on it does not care. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml\n";
}

static const char *fake_getenv(const char *name)
{
    return name[0] == 'A' ? "http://a/${A}" : name[0] == 'E' ? "" : NULL;
}

static void check_report(const struct buf *errors)
{
    bool at_start = true;
    for (size_t i = 0; i < errors->len; i++) {
        if (at_start) must(errors->len - i > 2 && memcmp(errors->data + i, "f:", 2) == 0);
        at_start = errors->data[i] == '\n';
    }
    must(at_start);
}

static int load(struct bytes text, struct buf *errors)
{
    struct flow *f = NULL;
    int rc = flow_load_text("f", text, fake_getenv, errors, &f);
    must((rc == 0) == (f != NULL) && (rc == 0) == (errors->len == 0));
    for (size_t i = 0; f != NULL && i < flow_view_count(f); i++)
        must(flow_view_at(f, i)->id != NULL && flow_view_at(f, i)->channel != NULL);
    flow_free(f);
    check_report(errors);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {(const char *)data, size};
    struct buf first = {0}, second = {0};
    must(load(text, &first) == load(text, &second));
    must(bytes_eq(buf_bytes(&first), buf_bytes(&second)));
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
