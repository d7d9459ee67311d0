/* The command line of bursar; what it does is in cmd.c. */
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
    return cmd_main(argc, argv);
}
