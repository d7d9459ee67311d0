/* A shared object that is no module. */
int bad_symbol_has_another_name(void);
int bad_symbol_has_another_name(void)
{
    return 1;
}
