#include <bursar/version.h>

const char *bursar_version(void)
{
    return BURSAR_VERSION;
}
