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

// Distances in mm at which the ray enters and leaves the volume; x > y when it misses.
vec2 ray_span(vec3 origin) {
    vec3 inverse = 1.0 / mix(u_direction, vec3(1e-12), lessThan(abs(u_direction), vec3(1e-12)));
    vec3 a = -origin * inverse;
    vec3 b = (u_size - origin) * inverse;
    vec3 near = min(a, b);
    vec3 far = max(a, b);
    return vec2(max(max(near.x, near.y), near.z), min(min(far.x, far.y), far.z));
}
