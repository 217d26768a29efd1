/* member.h - this process as a member of its run: what it tells the one that the user started. Under the GIL. */
#ifndef PMT_MEMBER_H
#define PMT_MEMBER_H

#include "core/family.h"
#include "core/recorder.h"

extern pmt_family pmt_our_family; /* of the process; nothing in it until a recording has children or joins a run */

/* Nested recordings are nobody's concern. */
void pmt_member_begins(const char *path);                          /* of its file; NULL: none */
void pmt_member_began(const pmt_recorder *r);
void pmt_member_ended(const pmt_recorder *r);                      /* its file is whole, or why not */
void pmt_member_refused(const char *path, const char *reason);     /* it could not begin; path: NULL, none */

#endif
