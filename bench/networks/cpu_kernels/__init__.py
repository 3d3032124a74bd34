"""Operations in C++ that PyTorch does slowly on a CPU, and how they take its place."""
