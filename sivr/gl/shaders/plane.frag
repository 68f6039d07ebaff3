#version 330 core
// A plane through a volume, or the maximum, minimum or mean of a slab around it; flat, or along a curve.
#include "ray.glsl"
#include "window.glsl"

uniform vec2 u_value_scale;   // modality value = texel * x + y
uniform float u_padding;      // texels up to this are not image
uniform int u_samples;        // across the slab
uniform float u_first;        // mm from the plane to the first
uniform float u_step;         // mm between them
#ifdef MARKED
uniform vec2 u_band;          // modality values that are marked in the second channel; what is no image in the third
#define NOTHING vec4(0.0, 0.0, 1.0, 1.0)
#else
#define NOTHING vec4(0.0, 0.0, 0.0, 1.0)
#endif
#ifdef CURVED
uniform sampler2D u_columns;  // of each column: its first row, one pixel down, one mm away; a is 0 beyond its ends
#endif

out vec4 color;

void main() {
#ifdef CURVED
    int column = int(gl_FragCoord.x);
    vec4 top = texelFetch(u_columns, ivec2(column, 0), 0);
    vec3 down = texelFetch(u_columns, ivec2(column, 1), 0).xyz;
    vec3 away = texelFetch(u_columns, ivec2(column, 2), 0).xyz;
    vec3 origin = top.xyz + (gl_FragCoord.y - 0.5) * down;
    if (top.a == 0.0) {
        color = NOTHING;
        return;
    }
#else
    vec3 origin = ray_origin();
    vec3 away = u_direction;
#endif
    float best = 0.0;
    float count = 0.0;
    for (int n = 0; n < u_samples; ++n) {
        float distance = u_first + float(n) * u_step;
        vec3 at = origin + distance * away;
        // A hair outside is still inside: pixel-aligned planes lie exactly on the border.
        if (any(lessThan(at, vec3(-1e-3))) || any(greaterThan(at, u_size + 1e-3))) continue;
        at = clamp(at, vec3(0.5), u_size - 0.5);
#ifdef PADDED
        if (texelFetch(u_volume, ivec3(min(at, u_size - 1.0)), 0).r <= u_padding) continue;
#endif
        float texel = texture(u_volume, at / u_size).r;
#if defined(MAXIMUM)
        best = count > 0.0 ? max(best, texel) : texel;
#elif defined(MINIMUM)
        best = count > 0.0 ? min(best, texel) : texel;
#else
        best += texel;
#endif
        count += 1.0;
    }
    if (count == 0.0) {
        color = NOTHING;
        return;
    }
#if !defined(MAXIMUM) && !defined(MINIMUM)
    best /= count;
#endif
    float value = best * u_value_scale.x + u_value_scale.y;
    color = vec4(vec3(windowed(value)), 1.0);
#ifdef MARKED
    color.gb = vec2(value >= u_band.x && value <= u_band.y ? 1.0 : 0.0, 0.0);
#endif
}
