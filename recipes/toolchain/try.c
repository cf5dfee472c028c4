/* Wants the stages of the compiler, a function of libgcc, and the linker. */
unsigned long long quotient(unsigned long long dividend, unsigned long long divisor);

unsigned long long quotient(unsigned long long dividend, unsigned long long divisor)
{
	return dividend / divisor;
}

void _start(void)
{
	quotient(1ULL << 40, 3);
}
