/* Includes itself twice, and each of these does, 40 levels deep. */
#if __INCLUDE_LEVEL__ < 40
#include __FILE__
#include __FILE__
#endif
