// Values of the dtype DTYPE: to the dtype they are computed in and back, and what follows a product. ITEM is not used.
#include "src/common.cuh"

extern "C" __global__ void widen(const value *in, i64 count, wide *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) out[at] = load_value(in[at]);
}

extern "C" __global__ void narrow(const wide *in, i64 count, value *out) {
    for (i64 at = first_thread(); at < count; at += all_threads()) out[at] = store_value(in[at]);
}

// The usual approximation by tanh; Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
__device__ __forceinline__ wide gelu(wide x) {
    const wide inner = (wide)0.7978845608028654 * (x + (wide)0.044715 * x * x * x);
    return (wide)0.5 * x * (1 + (wide)tanh(inner));
}

// out[r, c] = act(out[r, c] * scale[r] + bias[r]); element (r, c) is at r * row_step + c * col_step. `act`: 0 none,
// 1 relu (NaN stays), 2 gelu.
extern "C" __global__ void epilogue(value *out, i64 rows, i64 cols, i64 row_step, i64 col_step, const float *scale,
                                    const value *bias, i64 act) {
    for (i64 at = first_thread(); at < rows * cols; at += all_threads()) {
        // Neighbouring threads go along the contiguous axis.
        const i64 row = col_step == 1 ? at / cols : at % rows, col = col_step == 1 ? at % cols : at / rows;
        value *const to = out + row * row_step + col * col_step;
        wide x = load_value(*to);
        if (scale) x *= (wide)scale[row];
        if (bias) x += load_value(bias[row]);
        if (act == 1 && x < 0) x = 0;
        if (act == 2) x = gelu(x);
        *to = store_value(x);
    }
}

// Sets `found` where a value is NaN or infinite, and writes the values with 0 in the place of those.
extern "C" __global__ void split_finite(const value *in, i64 count, value *out, u64 *found) {
    bool odd = false;
    for (i64 at = first_thread(); at < count; at += all_threads()) {
        const bool good = is_finite(load_value(in[at]));
        out[at] = good ? in[at] : (value)0;
        odd = odd || !good;
    }
    if (odd) *found = 1;
}

// Adds what NaN and infinities of x (inner, cols) give with nonzero elements of w (rows, inner) to out (rows, cols). Does
// nothing where `found` says that there are none. Element (k, c) of x is at k * x_row + c * x_col; of others likewise.
extern "C" __global__ void add_odd(const value *w, i64 w_row, i64 w_col, i64 rows, i64 inner, i64 cols, const value *x, i64 x_row, i64 x_col,
                                   const u64 *found, value *out, i64 out_row, i64 out_col) {
    if (!*found) return;
    for (i64 at = first_thread(); at < rows * cols; at += all_threads()) {
        const i64 row = at / cols, col = at % cols;
        bool any = false;
        wide sum = 0;
        for (i64 k = 0; k < inner; k++) {
            const wide other = load_value(x[k * x_row + col * x_col]);
            if (is_finite(other)) continue;
            const wide own = load_value(w[row * w_row + k * w_col]);
            if (own == 0) continue;
            sum += own * other;
            any = true;
        }
        if (any) {
            value *const to = out + row * out_row + col * out_col;
            *to = store_value(load_value(*to) + sum);
        }
    }
}
