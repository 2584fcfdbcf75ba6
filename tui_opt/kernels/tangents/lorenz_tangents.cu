// Steps of Lorenz trajectories, each with the tangents X-W and Y-W, one thread a trajectory.
//
// The arithmetic is that of lorenz_lanes.py: the states and both tangents are mixed stage by stage, and every 16 steps
// a tangent is scaled by a power of two, which is kept account of.
//
// rows[9][lanes]: w, v, u.  powers[2][lanes]: exponents of v and u.  mask: 0 where an axis is held.

struct Vec { double x, y, z; };
struct Lorenz { double sigma, rho, beta; };

__device__ static inline Vec toward(Vec s, double reach, Vec k) {
    return {s.x + reach * k.x, s.y + reach * k.y, s.z + reach * k.z};
}

__device__ static inline Vec slope_of(Vec w, Lorenz p) {
    return {p.sigma * (w.y - w.x), w.x * (p.rho - w.z) - w.y, w.x * w.y - p.beta * w.z};
}

__device__ static inline Vec slope_along(Vec w, Vec v, Lorenz p, Vec mask) {
    return {mask.x * (p.sigma * (v.y - v.x)),
            mask.y * ((p.rho - w.z) * v.x - v.y - w.x * v.z),
            mask.z * (w.y * v.x + w.x * v.y - p.beta * v.z)};
}

__device__ static inline double kept(double x) { return fabs(x) < 3.0549363634996047e-151 ? 0.0 : x; }

__device__ static inline long long renormalise(Vec &v) {
    double largest = fmax(fabs(v.x), fmax(fabs(v.y), fabs(v.z)));
    if (!(largest > 0.0) || isinf(largest)) return 0;
    int exponent;
    frexp(largest, &exponent);
    double scale = ldexp(1.0, 1 - exponent);
    v = {kept(v.x * scale), kept(v.y * scale), kept(v.z * scale)};
    return exponent - 1;
}

extern "C" __global__ void advance(double *rows, long long *powers, int lanes, int steps, int is_euler, int in_stages,
                                   double sigma, double rho, double beta, double dt,
                                   double mask_a, double mask_b, double mask_c) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= lanes) return;
    long long n = lanes;
    Lorenz p = {sigma, rho, beta};
    Vec one = {1.0, 1.0, 1.0}, after = {mask_a, mask_b, mask_c};
    Vec stage = in_stages ? after : one;
    Vec w = {rows[i], rows[n + i], rows[2 * n + i]};
    Vec v = {rows[3 * n + i], rows[4 * n + i], rows[5 * n + i]};
    Vec u = {rows[6 * n + i], rows[7 * n + i], rows[8 * n + i]};
    long long grown_v = 0, grown_u = 0;
    double half = 0.5 * dt, sixth = dt / 6.0;
    for (int step = 0; step < steps; step++) {
        Vec kw = slope_of(w, p), kv = slope_along(w, v, p, one), ku = slope_along(w, u, p, stage);
        if (is_euler) {
            w = toward(w, dt, kw), v = toward(v, dt, kv), u = toward(u, dt, ku);
        } else {
            Vec tw = kw, tv = kv, tu = ku;
            for (int s = 1; s < 4; s++) {
                double reach = s == 3 ? dt : half, weight = s == 3 ? 1.0 : 2.0;
                Vec w2 = toward(w, reach, kw), v2 = toward(v, reach, kv), u2 = toward(u, reach, ku);
                kw = slope_of(w2, p), kv = slope_along(w2, v2, p, one), ku = slope_along(w2, u2, p, stage);
                tw = toward(tw, weight, kw), tv = toward(tv, weight, kv), tu = toward(tu, weight, ku);
            }
            w = toward(w, sixth, tw), v = toward(v, sixth, tv), u = toward(u, sixth, tu);
        }
        if (!in_stages) u = {u.x * after.x, u.y * after.y, u.z * after.z};
        if (step % 16 == 15 || step == steps - 1) grown_v += renormalise(v), grown_u += renormalise(u);
    }
    rows[i] = w.x, rows[n + i] = w.y, rows[2 * n + i] = w.z;
    rows[3 * n + i] = v.x, rows[4 * n + i] = v.y, rows[5 * n + i] = v.z;
    rows[6 * n + i] = u.x, rows[7 * n + i] = u.y, rows[8 * n + i] = u.z;
    powers[i] += grown_v;
    powers[n + i] += grown_u;
}
