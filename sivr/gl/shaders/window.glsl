// VOI functions, modality value to 0..1 (PS3.3 C.11.2.1.2). u_function: 0 linear, 1 linear-exact, 2 sigmoid.

uniform float u_center;
uniform float u_width;
uniform int u_function;
uniform bool u_invert;

float windowed(float value) {
    float grey;
    if (u_function == 2) {
        grey = 1.0 / (1.0 + exp(-4.0 * (value - u_center) / u_width));
    } else {
        float center = u_function == 0 ? u_center - 0.5 : u_center;
        float width = u_function == 0 ? u_width - 1.0 : u_width;
        float from_low = value - (center - 0.5 * width);
        grey = width > 0.0 ? clamp(from_low / width, 0.0, 1.0) : (from_low > 0.0 ? 1.0 : 0.0);
    }
    return u_invert ? 1.0 - grey : grey;
}
