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

out vec4 color;

vec4 table_at(float texel) {
    return texture(u_table, vec2(texel * u_table_scale.x + u_table_scale.y, 0.5));
}

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
        for (;;) {
            at = origin + (n * u_step) * u_direction;
            if (n > last) break;
            vec3 brick = clamp(floor(at / u_brick), vec3(0.0), ceil(u_size / u_brick) - 1.0);
            float reach = float(texelFetch(u_distance, ivec3(brick), 0).r);
#ifdef HALF
            if (reach == 0.0) break;
#else
            if (reach == 0.0) {
                point = table_at(texture(u_volume, at / u_size).r);
                if (point.a > 0.0) break;
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
        point = table_at(here.w);
        vec3 gradient = u_lps_from_gradient * here.xyz;
#else
        vec3 gradient = u_lps_from_gradient * gradient_at(at);
#endif
        float steep = length(gradient);
        // Lit from the viewer and from both sides: what faces away is the inside of a cut surface.
        float facing = abs(dot(gradient, u_toward)) / max(steep, 1e-9);
        float surface = steep / (steep + u_flat);
        float lit = mix(u_light.x + 0.75 * u_light.y, u_light.x + u_light.y * facing, surface);
        float shine = u_light.z * surface * pow(facing, 24.0);
        float alpha = (1.0 - sum.a) * point.a;
        sum += vec4(alpha * min(point.rgb * lit + shine, vec3(1.0)), alpha);
        n += 1.0;
    }
    color = vec4(sum.rgb, 1.0);
}
