/* core/family.h - what the processes of one run tell the one that the user started.
 *
 * A file in /dev/shm: a header page, then slots, one for each process, written through a shared mapping, so that a
 * forked child needs no descriptor to say that it cannot record. After the slots, lines `PID\tPARENT\tREASON` appended by
 * Pythons that cannot load this extension. All of it is a report: nothing goes wrong when it is lost, or when somebody
 * cuts the file (from Linux 5.14 on; before, that is a SIGBUS), and what is read from it is not trusted. Nothing here
 * allocates after the mapping is made. */
#ifndef PMT_FAMILY_H
#define PMT_FAMILY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PMT_FAMILY_SLOTS 2048u
#define PMT_FAMILY_NAME 64u /* of the file, with its folder */

typedef enum pmt_member_state {
    PMT_MEMBER_NONE,
    PMT_MEMBER_BEGINNING, /* its file may be there, and empty */
    PMT_MEMBER_RECORDING,
    PMT_MEMBER_ENDED,   /* its file is whole */
    PMT_MEMBER_FAILED,  /* an error ended its recording */
    PMT_MEMBER_REFUSED  /* it could not begin */
} pmt_member_state;

typedef struct pmt_member {
    _Atomic uint32_t state; /* last of all: what stands beside it is whole then */
    uint32_t pid, parent, reserved;
    uint64_t pid_start;     /* field 22 of /proc/PID/stat */
    char path[360];         /* of its file, "": none, or longer than this */
    char reason[128];
} pmt_member;

_Static_assert(sizeof(pmt_member) == 512, "slots fill pages");

typedef struct pmt_family {
    char path[PMT_FAMILY_NAME]; /* "": there is none */
    struct pmt_family_shared *s; /* mapped for the process's life; NULL: none */
    pmt_member *me;
    long me_pid;                 /* whose `me` is: a forked child finds its parent's */
    uint32_t seq;                /* number of this process in the run */
    uint32_t root;               /* the process that the user started */
    uint64_t root_start;         /* its pid_start */
} pmt_family;

int pmt_family_create(pmt_family *f);                   /* this process is the root: 0 or -errno */
int pmt_family_join(pmt_family *f, const char *path);   /* 0 or -errno */
bool pmt_family_root(const pmt_family *f);              /* is this process the one that the user started? */
void pmt_family_enter(pmt_family *f);                   /* this process has a number and a slot from here on; twice is fine */
void pmt_family_say(pmt_family *f, pmt_member_state state, const char *path, const char *reason); /* NULL: as it was */
void pmt_family_remove(pmt_family *f);                  /* the root's: the run is over; another may begin */

/* The processes, in no order; without the root. begin with *at = 0; false: no more. `out` is a copy with its strings ended. */
bool pmt_family_next(const pmt_family *f, uint32_t *at, pmt_member *out);
bool pmt_family_alive(const pmt_member *m);
uint32_t pmt_family_unnoted(const pmt_family *f);       /* processes for which there was no slot */
char *pmt_family_lines(const pmt_family *f);            /* what was appended, malloc'ed; NULL: nothing */
/* The next of them, *at behind it, *reason within it. false: no more. What is no such line is passed over. */
bool pmt_family_next_line(char **at, unsigned *pid, unsigned *parent, char **reason);

#endif
