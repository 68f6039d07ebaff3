#version 330 core
// A stored frame, 1:1, by the same table the CPU kernel uses: its reference.
uniform isampler2D u_values;
uniform usampler2D u_table;   // 256 entries a row
uniform int u_first;          // stored value of the table's first entry

out vec4 color;

void main() {
    int entry = texelFetch(u_values, ivec2(gl_FragCoord.xy), 0).r - u_first;
    uint grey = texelFetch(u_table, ivec2(entry & 255, entry >> 8), 0).r;
    color = vec4(vec3(float(grey) / 255.0), 1.0);
}
