// Where things are: the fragments of the tensor-core instructions, and the device layout of nm2:4.
//
// Every INDEX line is C here and is read by Python as well (layout.py), which builds the layout from it and emulates
// the kernels with it. So an expression uses only + - * / % >> << & | of nonnegative integers, which mean the same in
// both.
//
// A *brick* is 64 rows by 64 dense columns: four row tiles m of 16 rows, two steps s of 32 columns, 32 slots a row.
// `lane` is a thread of a warp, `reg` and `half` (or `byte`) name a value in its registers.
#define INDEX(name, args, value) \
    __device__ __forceinline__ int name args { return value; }
#define LONG_INDEX(name, args, value) \
    __device__ __forceinline__ long long name args { return value; }

// Fragments (PTX ISA, "Matrix Fragments for mma.sp.m16n8k32" and "m16n8k64"): row of the tile, slot of the step.
INDEX(a16_row, (int lane, int reg), (lane >> 2) + 8 * (reg & 1))
INDEX(a16_slot, (int lane, int reg, int half), 2 * (lane & 3) + 8 * (reg >> 1) + half)
INDEX(a8_slot, (int lane, int reg, int byte), 4 * (lane & 3) + 16 * (reg >> 1) + byte)
INDEX(c_row, (int lane, int i), (lane >> 2) + 8 * (i >> 1))
INDEX(c_col, (int lane, int i), 2 * (lane & 3) + (i & 1))
// ldmatrix: the column and the 16-byte chunk whose address a lane gives.
INDEX(b_col, (int lane), lane & 7)
INDEX(b_chunk, (int lane), lane >> 3)

// Values of a brick: the 32-bit word, and the bit in it.
INDEX(raw16_word, (int lane, int m, int s, int reg), ((2 * m + s) * 32 + lane) * 4 + reg)
INDEX(raw16_bit, (int half), 16 * half)
INDEX(raw8_word, (int lane, int m, int reg), (m * 32 + lane) * 4 + reg)
INDEX(raw8_bit, (int byte), 8 * byte)
INDEX(int8_word, (int lane, int m, int s, int reg), (m * 32 + lane) * 4 + 2 * s + (reg >> 1))
INDEX(int8_bit, (int reg, int half), 16 * (reg & 1) + 8 * half)
INDEX(int4_word, (int lane, int m, int s), ((m >> 1) * 32 + lane) * 4 + 2 * (m & 1) + s)
INDEX(int4_bit, (int reg, int half), 16 * half + 4 * reg)
// Codes that point into a codebook: planes of 8, 4, 2 and 1 bits; the codes of both halves stand side by side.
INDEX(plane8_word, (int lane, int m, int s, int reg), (m * 32 + lane) * 4 + 2 * s + (reg >> 1))
INDEX(plane8_bit, (int m, int s, int reg), 16 * (reg & 1))
INDEX(plane4_word, (int lane, int m, int s, int reg), ((m >> 1) * 32 + lane) * 4 + 2 * (m & 1) + s)
INDEX(plane4_bit, (int m, int s, int reg), 8 * reg)
INDEX(plane2_word, (int lane, int m, int s, int reg), lane * 4 + m)
INDEX(plane2_bit, (int m, int s, int reg), 16 * s + 4 * reg)
INDEX(plane1_word, (int lane, int m, int s, int reg), lane * 2 + (m >> 1))
INDEX(plane1_bit, (int m, int s, int reg), 16 * (m & 1) + 8 * s + 2 * reg)

// Codes of groups: 3 bits each, three words per lane for four row tiles. Nibble j of word m < 3 holds in its low three
// bits a code of tile m; its top bit is bit m of a code of tile 3. Code j becomes nibble `meta_nibble(j)` of the
// metadata register, which stands for this row of the tile and this group of the brick's 16:
INDEX(meta_word, (int lane, int word), 32 * word + lane)
INDEX(meta_nibble, (int j), 2 * (j & 3) + (j >> 2))
INDEX(meta16_row, (int lane, int nibble), (lane >> 2) + 8 * (nibble >> 2))
INDEX(meta16_group, (int lane, int nibble), 4 * (lane & 3) + (nibble & 3))
INDEX(meta8_row, (int lane, int nibble), (lane >> 2) + 8 * (lane & 1))
INDEX(meta8_group, (int lane, int nibble), 8 * ((lane >> 1) & 1) + nibble)

// Scales and zero points, 64 to a line: entry i belongs to this row of the brick; a lane reads eight side by side.
INDEX(scale_row, (int i), (i >> 3) + 8 * (i & 1) + 16 * ((i >> 1) & 3))
INDEX(scale_entry, (int lane, int m, int upper), 8 * (lane >> 2) + 2 * m + upper)

// The group of a step of 32 columns; `inverse` is ceil(2^31 / steps per group), exact while steps times steps per group
// stay below 2^31.
INDEX(scale_group, (unsigned step, unsigned long long inverse), step * inverse >> 31)

// The group of four that the gemv path multiplies at register `reg`, and the lane that holds its metadata.
INDEX(gemv_column, (int lane, int s, int reg), 32 * s + 16 * (reg >> 1) + 4 * (lane & 3))
INDEX(gemv_lane, (int lane, int s, int reg), 4 * (lane >> 2) + 2 * s + (reg >> 1))
INDEX(gemv_nibble, (int lane, int reg), 4 * (reg & 1) + (lane & 3))

// Work: bricks lie row by row; units (tile, chunk of columns) are dealt to blocks in order, evenly.
LONG_INDEX(brick_index, (long long row_brick, long long col_brick, long long col_bricks), row_brick * col_bricks + col_brick)
LONG_INDEX(unit_first, (long long block, long long units, long long blocks), block * units / blocks)
LONG_INDEX(unit_owner, (long long unit, long long units, long long blocks), ((unit + 1) * blocks - 1) / units)
