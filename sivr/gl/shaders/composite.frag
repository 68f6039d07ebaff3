#version 330 core
// Volume rendering with a 1D transfer function and gradient shading, front to back.
// One outer loop with an inner loop that leaps over empty bricks and steps over samples that show nothing: on a
// CPU rasterizer a skipped loop iteration is free, a skipped `if` is not, and gradients cost the most.
#include "ray.glsl"

uniform usampler3D u_distance;   // bricks to the nearest visible one, 0 in it
uniform float u_brick;           // voxels per brick
uniform sampler2D u_table;       // color and opacity per step
uniform vec2 u_table_scale;      // table coordinate = texel * x + y
uniform mat3 u_lps_from_gradient;
uniform float u_step;            // mm
uniform float u_opaque;          // opacity at which a ray ends
uniform float u_flat;            // gradient (texel units per mm) below which there is no surface to shade
uniform vec3 u_light;            // ambient, diffuse, specular
uniform vec3 u_toward;           // unit vector to the viewer, LPS; the light is there

#ifdef CUT
uniform vec3 u_cue;              // nearest point in mm, 1 / mm to the farthest, how much darker that is
#endif
#ifdef SURFACE
uniform float u_surface;         // texel of the only surface
uniform float u_above;           // 1 where larger texels are behind it, -1 where smaller ones are
#endif

out vec4 color;

vec4 table_at(float texel) {
    return texture(u_table, vec2(texel * u_table_scale.x + u_table_scale.y, 0.5));
}

// Whether a sample shows something.
bool seen(vec3 at, float texel, vec4 point) {
#ifdef SURFACE
    if ((texel - u_surface) * u_above < 0.0) return false;
#else
    if (point.a <= 0.0) return false;
#endif
#ifdef CUT
    return kept(at);
#else
    return true;
#endif
}

#ifdef SURFACE
float texel_at(vec3 at) {
    vec4 here = texture(u_volume, at / u_size);
#ifdef HALF
    return here.w;
#else
    return here.r;
#endif
}

// Where a ray passed the surface since the sample before this one, by two steps of regula falsi; y is 0 where it
// did not, but meets what a cut has opened.
vec2 crossing(vec3 origin, float far, float enter, float texel) {
    float near = far - u_step;
    float sample_ = far;
    float before = (texel_at(origin + near * u_direction) - u_surface) * u_above;
    float here = (texel - u_surface) * u_above;
    if (before >= 0.0 || near < enter) return vec2(sample_, 0.0);
    float at = near + (far - near) * (before / min(before - here, -1e-20));
    float there = (texel_at(origin + at * u_direction) - u_surface) * u_above;
    if (there >= 0.0) {
        far = at;
        here = there;
    } else {
        near = at;
        before = there;
    }
    return vec2(near + (far - near) * (before / min(before - here, -1e-20)), 1.0);
}
#endif

#ifndef HALF
vec3 gradient_at(vec3 at) {
    vec3 texel = 1.0 / u_size;
    vec3 p = at * texel;
    vec3 high = vec3(
        texture(u_volume, vec3(p.x + texel.x, p.y, p.z)).r,
        texture(u_volume, vec3(p.x, p.y + texel.y, p.z)).r,
        texture(u_volume, vec3(p.x, p.y, p.z + texel.z)).r);
    vec3 low = vec3(
        texture(u_volume, vec3(p.x - texel.x, p.y, p.z)).r,
        texture(u_volume, vec3(p.x, p.y - texel.y, p.z)).r,
        texture(u_volume, vec3(p.x, p.y, p.z - texel.z)).r);
    return 0.5 * (high - low);
}
#endif

void main() {
    vec3 origin = ray_origin();
    vec2 span = ray_span(origin);
    vec3 inverse = 1.0 / mix(u_direction, vec3(1e-12), lessThan(abs(u_direction), vec3(1e-12)));
    vec4 sum = vec4(0.0);
    // Samples lie on planes common to all rays, so that a leap changes no sample that is taken.
    float n = ceil(span.x / u_step);
    float last = floor(span.y / u_step);
    for (;;) {
        vec3 at;
        vec4 point;
        float texel;
        for (;;) {
            at = origin + (n * u_step) * u_direction;
            if (n > last) break;
            vec3 brick = clamp(floor(at / u_brick), vec3(0.0), ceil(u_size / u_brick) - 1.0);
            float reach = float(texelFetch(u_distance, ivec3(brick), 0).r);
#ifdef HALF
            if (reach == 0.0) break;
#else
            if (reach == 0.0) {
                texel = texture(u_volume, at / u_size).r;
                point = table_at(texel);
                if (seen(at, texel, point)) break;
                n += 1.0;
                continue;
            }
#endif
            vec3 low = (brick - (reach - 1.0)) * u_brick;
            vec3 high = (brick + reach) * u_brick;
            vec3 leave = (mix(high, low, lessThan(u_direction, vec3(0.0))) - origin) * inverse;
            n = max(n + 1.0, ceil(min(min(leave.x, leave.y), leave.z) / u_step));
        }
        if (n > last || sum.a > u_opaque) break;
#ifdef HALF
        // The gradient lies beside the value: one fetch is all, and looking ahead would not pay.
        vec4 here = texture(u_volume, at / u_size);
        texel = here.w;
        point = table_at(texel);
#if defined(CUT) || defined(SURFACE)
        if (!seen(at, texel, point)) {
            n += 1.0;
            continue;
        }
#endif
#endif
        float deep = n * u_step;
#ifdef SURFACE
        vec2 passed = crossing(origin, deep, span.x, texel);
        deep = passed.x;
        at = origin + deep * u_direction;
        point.a = 1.0;
#ifdef HALF
        here = texture(u_volume, at / u_size);
#endif
#endif
#ifdef HALF
        vec3 gradient = u_lps_from_gradient * here.xyz;
#else
        vec3 gradient = u_lps_from_gradient * gradient_at(at);
#endif
        float steep = length(gradient);
        // Lit from the viewer and from both sides: what faces away is the inside of a cut surface.
        float facing = abs(dot(gradient, u_toward)) / max(steep, 1e-9);
        float surface = steep / (steep + u_flat);
#ifdef SURFACE
        surface *= passed.y;
#endif
        float lit = mix(u_light.x + 0.75 * u_light.y, u_light.x + u_light.y * facing, surface);
        float shine = u_light.z * surface * pow(facing, 24.0);
        float alpha = (1.0 - sum.a) * point.a;
        vec3 shown = min(point.rgb * lit + shine, vec3(1.0));
#ifdef CUT
        shown *= 1.0 - u_cue.z * clamp((deep - u_cue.x) * u_cue.y, 0.0, 1.0);
#endif
        sum += vec4(alpha * shown, alpha);
        n += 1.0;
    }
    color = vec4(sum.rgb, 1.0);
}
