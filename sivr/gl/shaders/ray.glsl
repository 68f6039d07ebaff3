// Parallel rays through a volume. Positions are in texels: texel n along an axis reaches from n to n + 1.

uniform sampler3D u_volume;
uniform vec3 u_size;       // texels of the volume along i, j, k
uniform vec3 u_origin;     // where the center of the top left pixel looks from, at distance 0
uniform vec3 u_right;      // one pixel to the right
uniform vec3 u_down;       // one pixel down
uniform vec3 u_direction;  // one millimeter away from the viewer
uniform vec2 u_pixel;      // picture pixels per pixel rendered here; 1 unless a draft is rendered smaller

vec3 ray_origin() {
    // The framebuffer's first row is the picture's top row: it is read back in that order.
    vec2 at = gl_FragCoord.xy * u_pixel - 0.5;
    return u_origin + at.x * u_right + at.y * u_down;
}

#ifdef CUT
uniform vec3 u_low;         // texels kept: all between these
uniform vec3 u_high;
uniform vec4 u_planes[4];   // what is taken away: where xyz . p + w > 0
uniform vec4 u_along;       // 1 / change of that per mm along the rays
uniform int u_lassos;
uniform vec4 u_cells[16];   // of each lasso, what gives a mask's column, and its row
uniform usampler2DArray u_masks;   // 1 where what is seen there is taken away
uniform float u_mask_side;

// Whether no lasso takes a point away.
bool kept(vec3 at) {
    for (int n = 0; n < u_lassos; ++n) {
        vec2 cell = vec2(dot(u_cells[2 * n], vec4(at, 1.0)), dot(u_cells[2 * n + 1], vec4(at, 1.0)));
        ivec2 place = ivec2(clamp(cell, vec2(0.0), vec2(u_mask_side - 1.0)));
        if (texelFetch(u_masks, ivec3(place, n), 0).r != 0u) return false;
    }
    return true;
}
#else
#define u_low vec3(0.0)
#define u_high u_size
#endif

// Distances in mm at which the ray enters and leaves the volume, or what box and planes of a cut keep of it;
// x > y when it misses.
vec2 ray_span(vec3 origin) {
    vec3 inverse = 1.0 / mix(u_direction, vec3(1e-12), lessThan(abs(u_direction), vec3(1e-12)));
    vec3 a = (u_low - origin) * inverse;
    vec3 b = (u_high - origin) * inverse;
    vec3 near = min(a, b);
    vec3 far = max(a, b);
    vec2 span = vec2(max(max(near.x, near.y), near.z), min(min(far.x, far.y), far.z));
#ifdef CUT
    for (int n = 0; n < 4; ++n) {
        float at = -dot(u_planes[n], vec4(origin, 1.0)) * u_along[n];
        if (u_along[n] > 0.0) span.y = min(span.y, at); else span.x = max(span.x, at);
    }
#endif
    return span;
}
