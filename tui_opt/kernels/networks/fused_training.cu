// Full-batch training of many small ReLU networks, many steps a launch, in single precision.
//
// GROUP threads of a warp own one network. Each walks over its own samples, SAMPLES at a time, and keeps the gradient of
// every parameter in registers; weights and the optimizer's state lie in shared memory and are read by broadcast. At the
// end of a step the threads add up their gradients by exchanging halves, and each updates its share of the parameters.
//
// A ReLU costs nothing: activations are stored divided by 2^20, where a saturating multiply-add clips below 0 and, which
// no sane activation reaches, above 1. A masked unit's activation is already 0, so the error that replaces it in the
// backward pass needs one predicated instruction.
//
// Macros: LAYERS, WIDTH, GROUP (a power of two up to 32), SAMPLES, ADADELTA (0 momentum, 1 Adadelta), THREADS, BLOCKS.
// Compiled as C++ with HOST the threads of a group are run one after another.
#ifdef HOST
#include <cmath>
#include <cstring>
#define DEVICE static inline
#define UNROLL
#else
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#endif

// A network in words, each layer padded to whole vectors of four: first layer weights, biases; inner layers biases,
// weights; output weights, bias.
constexpr int FIRST = (2 * WIDTH + 3) / 4 * 4;
constexpr int INNER = (WIDTH * WIDTH + WIDTH + 3) / 4 * 4;
constexpr int LAST = (WIDTH + 4) / 4 * 4;
constexpr int OUTPUT = FIRST + (LAYERS - 1) * INNER;
constexpr int WORDS = OUTPUT + LAST;
constexpr int SHARE = (WORDS + GROUP - 1) / GROUP;  // words that a thread updates
constexpr int SUMMED = SHARE * GROUP;
constexpr int ROUNDED = (SUMMED + 3) / 4 * 4;
constexpr int STRIDE = ROUNDED % 32 == 0 ? ROUNDED + 4 : ROUNDED;  // networks begin in different banks

struct Four { float x, y, z, w; };

DEVICE int layer_start(int layer) { return FIRST + (layer - 1) * INNER; }

DEVICE Four load(const float *place) {
    Four v;
#ifdef HOST
    v.x = place[0]; v.y = place[1]; v.z = place[2]; v.w = place[3];
#else
    // Volatile, so that loads of the two passes are not merged, which would cost registers.
    unsigned address = (unsigned)__cvta_generic_to_shared(place);
    asm volatile("ld.volatile.shared.v4.f32 {%0,%1,%2,%3},[%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address));
#endif
    return v;
}

template <int N> DEVICE void load_words(float *to, const float *from) {
    UNROLL for (int k = 0; k < N; k += 4) {
        Four v = load(from + k);
        to[k] = v.x; to[k + 1] = v.y; to[k + 2] = v.z; to[k + 3] = v.w;
    }
}

DEVICE float rectified(float a, float b, float c) {
#ifdef HOST
    float z = fmaf(a, b, c);
    return z > 0.0f ? (z < 1.0f ? z : 1.0f) : 0.0f;
#else
    float d;
    asm("fma.rn.sat.f32 %0,%1,%2,%3;" : "=f"(d) : "f"(a), "f"(b), "f"(c));
    return d;
#endif
}

// activation = activation > 0 ? weight * error + sum : 0, the activation being 0 already where it is masked.
DEVICE void masked_sum(float &activation, float weight, float error, float sum) {
#ifdef HOST
    activation = activation > 0.0f ? fmaf(weight, error, sum) : 0.0f;
#else
    asm("{.reg .pred p; setp.gt.f32 p,%0,0f00000000; @p fma.rn.f32 %0,%1,%2,%3;}"
        : "+f"(activation) : "f"(weight), "f"(error), "f"(sum));
#endif
}

DEVICE void masked_product(float &activation, float weight, float error) {
#ifdef HOST
    activation = activation > 0.0f ? weight * error : 0.0f;
#else
    asm("{.reg .pred p; setp.gt.f32 p,%0,0f00000000; @p mul.rn.f32 %0,%1,%2;}"
        : "+f"(activation) : "f"(weight), "f"(error));
#endif
}

// SAMPLES samples of one thread forward and back. A sample is {x, y or 0, 1 or 0, 0}.
DEVICE void pass(const float *w, const Four *sample, float *gradient, float &loss) {
    float a[LAYERS][SAMPLES][WIDTH], x[SAMPLES], error[SAMPLES];
    {
        float t[FIRST];
        load_words<FIRST>(t, w);
        UNROLL for (int r = 0; r < SAMPLES; r++) {
            x[r] = sample[r].x;
            UNROLL for (int j = 0; j < WIDTH; j++) a[0][r][j] = rectified(x[r], t[j], t[WIDTH + j]);
        }
    }
    UNROLL for (int l = 1; l < LAYERS; l++) {
        float t[INNER];
        load_words<INNER>(t, w + layer_start(l));
        UNROLL for (int i = 0; i < WIDTH; i++)
            UNROLL for (int j = 0; j < WIDTH; j++)
                UNROLL for (int r = 0; r < SAMPLES; r++) {
                    float sum = i ? a[l][r][j] : t[j], weight = t[WIDTH + i * WIDTH + j];
                    a[l][r][j] = i < WIDTH - 1 ? fmaf(a[l - 1][r][i], weight, sum) : rectified(a[l - 1][r][i], weight, sum);
                }
    }
    {
        float t[LAST];
        load_words<LAST>(t, w + OUTPUT);
        UNROLL for (int r = 0; r < SAMPLES; r++) {
            float out = t[WIDTH];
            UNROLL for (int i = 0; i < WIDTH; i++) out = fmaf(a[LAYERS - 1][r][i], t[i], out);
            error[r] = fmaf(sample[r].z, out, -sample[r].y);
            loss = fmaf(error[r], error[r], loss);
            gradient[OUTPUT + WIDTH] += error[r];
        }
        UNROLL for (int i = 0; i < WIDTH; i++)
            UNROLL for (int r = 0; r < SAMPLES; r++) {
                gradient[OUTPUT + i] = fmaf(a[LAYERS - 1][r][i], error[r], gradient[OUTPUT + i]);
                masked_product(a[LAYERS - 1][r][i], t[i], error[r]);
            }
    }
    constexpr int SKIPPED = WIDTH / 4 * 4;  // vectors with biases only are not needed on the way back
    constexpr int NEEDED = (WIDTH - SKIPPED + WIDTH * WIDTH + 3) / 4 * 4;
    UNROLL for (int l = LAYERS - 1; l > 0; l--) {
        float loaded[NEEDED];
        load_words<NEEDED>(loaded, w + layer_start(l) + SKIPPED);
        const float *t = loaded + WIDTH - SKIPPED;
        UNROLL for (int j = 0; j < WIDTH; j++)
            UNROLL for (int r = 0; r < SAMPLES; r++) gradient[layer_start(l) + j] += a[l][r][j];
        UNROLL for (int i = 0; i < WIDTH; i++) {
            float sum[SAMPLES];
            UNROLL for (int r = 0; r < SAMPLES; r++) sum[r] = 0.0f;
            UNROLL for (int j = 0; j < WIDTH; j++)
                UNROLL for (int r = 0; r < SAMPLES; r++) {
                    int k = layer_start(l) + WIDTH + i * WIDTH + j;
                    gradient[k] = fmaf(a[l - 1][r][i], a[l][r][j], gradient[k]);
                    if (j < WIDTH - 1) sum[r] = j ? fmaf(t[i * WIDTH + j], a[l][r][j], sum[r]) : t[i * WIDTH] * a[l][r][0];
                }
            UNROLL for (int r = 0; r < SAMPLES; r++)
                masked_sum(a[l - 1][r][i], t[i * WIDTH + WIDTH - 1], a[l][r][WIDTH - 1], sum[r]);
        }
    }
    UNROLL for (int j = 0; j < WIDTH; j++)
        UNROLL for (int r = 0; r < SAMPLES; r++) {
            gradient[WIDTH + j] += a[0][r][j];
            gradient[j] = fmaf(x[r], a[0][r][j], gradient[j]);
        }
}

// One parameter's step. `w` is stored times `scale`; gradient and state are of the parameter itself.
DEVICE void step(float &w, float &first, float &second, float gradient, float scale, const float *constants) {
    float rate = constants[0], decay = constants[1], epsilon = constants[2];
#if ADADELTA
    first = fmaf(decay, first, (1.0f - decay) * gradient * gradient);
#ifdef HOST
    float move = gradient * sqrtf((second + epsilon) / (first + epsilon));
#else
    float root, ratio = __fdividef(second + epsilon, first + epsilon);
    asm("sqrt.approx.f32 %0,%1;" : "=f"(root) : "f"(ratio));
    float move = gradient * root;
#endif
    w = fmaf(-rate * scale, move, w);
    second = fmaf(decay, second, (1.0f - decay) * move * move);
#else
    first = fmaf(decay, first, -rate * gradient);
    w = fmaf(scale, first, w);
#endif
}

#ifdef HOST
extern "C" int stride() { return STRIDE; }

extern "C" void train(float *weights, float *first, float *second, const Four *samples, const float *scales,
                      const float *constants, float *losses, int networks, int passes, int steps) {
    for (int m = 0; m < networks; m++)
        for (int t = 0; t < steps; t++) {
            static float gradient[GROUP][STRIDE], sums[GROUP][STRIDE];
            float loss = 0.0f, part[GROUP];
            memset(gradient, 0, sizeof gradient);
            for (int r = 0; r < GROUP; r++) {
                part[r] = 0.0f;
                for (int p = 0; p < passes; p++) {
                    Four own[SAMPLES];
                    for (int k = 0; k < SAMPLES; k++) own[k] = samples[(p * SAMPLES + k) * GROUP + r];
                    pass(weights + (long)m * STRIDE, own, gradient[r], part[r]);
                }
            }
            for (int half = GROUP / 2, length = SUMMED / 2; half; half /= 2, length /= 2) {
                for (int r = 0; r < GROUP; r++)
                    for (int k = 0; k < length; k++) {
                        int place = r & half ? length + k : k;
                        sums[r][k] = gradient[r][place] + gradient[r ^ half][place];
                    }
                memcpy(gradient, sums, sizeof sums);
            }
            for (int r = 0; r < GROUP; r++) loss += part[r];
            losses[m] = 0.5f * constants[3] * loss;
            for (int r = 0; r < GROUP; r++)
                for (int k = 0; k < SHARE; k++) {
                    int word = SHARE * r + k;
                    long place = (long)m * STRIDE + word;
                    step(weights[place], first[place], second[place], gradient[r][k] * scales[word] * constants[3], scales[word], constants);
                }
        }
}
#else
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
train(float *__restrict__ weights, float *__restrict__ first, float *__restrict__ second, const Four *__restrict__ samples,
      const float *__restrict__ scales, const float *__restrict__ constants, float *__restrict__ losses, int networks,
      int passes, int steps) {
    extern __shared__ __align__(16) float shared[];
    constexpr int OWN = THREADS / GROUP;  // networks of a block
    float *w = shared, *scale = w + OWN * STRIDE, *sample = scale + STRIDE;
    float *v = sample + passes * SAMPLES * GROUP * 4;
    float *u = v + OWN * STRIDE;  // Adadelta only
    const int rank = threadIdx.x % GROUP;
    int own = threadIdx.x / GROUP;
    const long start = (long)blockIdx.x * OWN;
    const int here = networks - start < OWN ? (int)(networks - start) : OWN;
    for (int k = threadIdx.x; k < here * STRIDE; k += THREADS) {
        w[k] = weights[start * STRIDE + k];
        v[k] = first[start * STRIDE + k];
#if ADADELTA
        u[k] = second[start * STRIDE + k];
#endif
    }
    for (int k = threadIdx.x; k < STRIDE; k += THREADS) scale[k] = scales[k];
    for (int k = threadIdx.x; k < passes * SAMPLES * GROUP * 4; k += THREADS) sample[k] = ((const float *)samples)[k];
    __syncthreads();
    const bool real = own < here;
    if (!real) own = here - 1;  // its results are dropped; exchanges need whole warps
    const float factor = constants[3];
    float loss = 0.0f;
    for (int t = 0; t < steps; t++) {
        float gradient[SUMMED];
        UNROLL for (int k = 0; k < SUMMED; k++) gradient[k] = 0.0f;
        loss = 0.0f;
        const float *from = sample + 4 * rank;
#pragma unroll 1
        for (int p = 0; p < passes; p++, from += 4 * SAMPLES * GROUP) {
            Four own_samples[SAMPLES];
            UNROLL for (int k = 0; k < SAMPLES; k++) own_samples[k] = load(from + 4 * k * GROUP);
            pass(w + own * STRIDE, own_samples, gradient, loss);
        }
        UNROLL for (int half = GROUP / 2, length = SUMMED / 2; half; half /= 2, length /= 2) {
            const bool upper = rank & half;
            UNROLL for (int k = 0; k < SUMMED / 2; k++)
                if (k < length) {
                    float kept = upper ? gradient[length + k] : gradient[k];
                    float sent = upper ? gradient[k] : gradient[length + k];
                    gradient[k] = kept + __shfl_xor_sync(~0u, sent, half);
                }
        }
        __syncwarp();
        if (real) {
            UNROLL for (int k = 0; k < SHARE; k++) {
                const int word = SHARE * rank + k, place = own * STRIDE + word;
                float second_state = 0.0f;
#if ADADELTA
                second_state = u[place];
#endif
                step(w[place], v[place], second_state, gradient[k] * scale[word] * factor, scale[word], constants);
#if ADADELTA
                u[place] = second_state;
#endif
            }
        }
        __syncwarp();
    }
    UNROLL for (int half = GROUP / 2; half; half /= 2) loss += __shfl_xor_sync(~0u, loss, half);
    if (real && rank == 0) losses[start + own] = 0.5f * factor * loss;
    __syncthreads();
    for (int k = threadIdx.x; k < here * STRIDE; k += THREADS) {
        weights[start * STRIDE + k] = w[k];
        first[start * STRIDE + k] = v[k];
#if ADADELTA
        second[start * STRIDE + k] = u[k];
#endif
    }
}
#endif
