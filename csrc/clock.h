/* The two clocks that loops look at: the wall's, and the calling thread's time on a core. */
#ifndef ZF_CLOCK_H
#define ZF_CLOCK_H

/* Seconds since whenever; never goes back. Tens of nanoseconds a look. */
double zf_now(void);

/* Seconds that the calling thread has run on a core; some hundreds of nanoseconds a look. */
double zf_on_core(void);

#endif
