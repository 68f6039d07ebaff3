#version 330 core
// Maximum, minimum and average projection. One sample per voxel layer of the axis the ray follows most, in
// the layer's middle: rays along an axis meet voxel centers, and the result is that of a projected array. When
// refined, some more on the way to the next layer.
#include "ray.glsl"
#include "window.glsl"

uniform vec2 u_value_scale;   // modality value = texel * x + y
uniform float u_padding;      // texels up to this are not image; below every texel when there is no padding
uniform sampler3D u_extremes; // largest (or least) texel of each brick
uniform float u_brick;        // voxels per brick
uniform float u_samples;      // per layer
uniform float u_floor;        // texel at which the window is black already: nothing to find below (above)

out vec4 color;

vec3 voxel_at(vec3 origin, int axis, float layer) {
    float distance = (layer + 0.5 - origin[axis]) / u_direction[axis];
    return clamp(origin + distance * u_direction, vec3(0.5), u_size - 0.5);
}

void main() {
    vec3 origin = ray_origin();
    vec2 span = ray_span(origin);
    vec3 along = abs(u_direction);
    int axis = along.x >= along.y && along.x >= along.z ? 0 : (along.y >= along.z ? 1 : 2);
    float a = origin[axis] + span.x * u_direction[axis];
    float b = origin[axis] + span.y * u_direction[axis];
    // In samples: every u_samples-th lies in the middle of a layer.
    float n = max(ceil(min(a, b) - 0.5 - 1e-3), 0.0) * u_samples;
    float last = min(floor(max(a, b) - 0.5 + 1e-3), u_size[axis] - 1.0) * u_samples;
    if (span.x > span.y || n > last) {
        color = vec4(0.0, 0.0, 0.0, 1.0);
        return;
    }
    float best = u_floor;
    float total = 0.0;
    float count = 0.0;
    vec3 bricks = ceil(u_size / u_brick) - 1.0;
    for (;;) {
        vec3 at;
        for (;;) {
            at = voxel_at(origin, axis, n / u_samples);
            if (n > last) break;
#if defined(MAXIMUM) || defined(MINIMUM)
            vec3 brick = clamp(floor(at / u_brick), vec3(0.0), bricks);
            float extreme = texelFetch(u_extremes, ivec3(brick), 0).r;
#ifdef MAXIMUM
            if (extreme > best) break;
#else
            if (extreme < best) break;
#endif
            // To the first sample behind this brick; the path is straight, so the nearest of three exits.
            vec3 forward = u_direction / u_direction[axis];
            vec3 low = brick * u_brick;
            vec3 high = low + u_brick;
            vec3 leave = (mix(high, low, lessThan(forward, vec3(0.0))) - at)
                / mix(forward, vec3(1e-12), lessThan(abs(forward), vec3(1e-12)));
            n = max(n + 1.0, ceil(n + min(min(leave.x, leave.y), leave.z) * u_samples));
            count += 1.0;
#else
            break;
#endif
        }
        if (n > last) break;
#ifdef PADDED
        float texel = texelFetch(u_volume, ivec3(min(at, u_size - 1.0)), 0).r;
        bool image = texel > u_padding;
#else
        float texel = texture(u_volume, at / u_size).r;
        const bool image = true;
#endif
#ifdef CUT
        if (!kept(at)) {
            n += 1.0;
            continue;
        }
#endif
#ifdef MAXIMUM
        best = max(best, texel);
        count += 1.0;
#elif defined(MINIMUM)
        best = image ? min(best, texel) : best;
        count += image ? 1.0 : 0.0;
#else
        total += image ? texel : 0.0;
        count += image ? 1.0 : 0.0;
#endif
        n += 1.0;
    }
#if defined(MAXIMUM) || defined(MINIMUM)
    float texel = best;
#else
    float texel = total / max(count, 1.0);
#endif
    if (count == 0.0) {
        color = vec4(0.0, 0.0, 0.0, 1.0);
        return;
    }
    color = vec4(vec3(windowed(texel * u_value_scale.x + u_value_scale.y)), 1.0);
}
