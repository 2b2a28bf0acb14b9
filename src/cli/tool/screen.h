/* A page that is redrawn in place: in a terminal on its alternate screen, so that what stood there
 * comes back at the end; elsewhere one page after the other. */
#ifndef LEAT_CLI_TOOL_SCREEN_H
#define LEAT_CLI_TOOL_SCREEN_H

#include "cli/tool/tool.h"

/* How tables are to be put so that they fit, as the terminal is now; `lines` are kept for others.
 */
struct table_style screen_style(const struct tool *t, int lines);
/* Shows the page; false when nobody reads it any more. */
bool screen_show(struct tool *t, struct bytes page);
/* Leaves the alternate screen, if it was entered, and shows the last page once more, to stay. */
void screen_leave(struct tool *t, struct bytes page);

#endif
