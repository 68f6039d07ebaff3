// @ts-check
/** An orthographic camera around a volume, in patient LPS mm, and the query it makes (PS3.18 8.3.5.3). */
import { STANDARD_VIEWS, arcball, clamp, length, plus, times, turnedAxes } from "../lib/geometry.js";

/** @typedef {import("../lib/geometry.js").Axes} Axes */
/** @typedef {import("../lib/geometry.js").Vector} Vector */

const text = (/** @type {number} */ value) => String(Number(value.toFixed(4)));
const triple = (/** @type {Vector} */ vector) => vector.map(text).join(",");

export class VolumeCamera {
  /** @param {import("../model/types.js").VolumeFacts} volume */
  constructor(volume) {
    this.volume = volume;
    this.reach_mm = length(volume.extent_mm);
    /** @type {Axes} */
    this.axes = STANDARD_VIEWS.a;
    this.pan = { right: 0, up: 0 };
    /** What the shorter side of the picture shows. */
    this.side_mm = this.#whole_mm;
  }

  /** A side that holds the longest side of the volume. */
  get #whole_mm() {
    return Math.max(...this.volume.extent_mm) * 1.15;
  }

  reset() {
    this.axes = STANDARD_VIEWS.a;
    this.pan = { right: 0, up: 0 };
    this.side_mm = this.#whole_mm;
  }

  /** Height of a picture in the patient, mm. @param {number} width @param {number} height of the field */
  fov_mm(width, height) {
    return (this.side_mm * height) / Math.min(width, height);
  }

  /** @param {string} letter one of a p r l h f */
  stand(letter) {
    this.axes = STANDARD_VIEWS[letter];
  }

  /**
   * Turn as if the volume were a ball under the finger.
   * @param {number} width @param {number} height @param {[number, number]} from @param {[number, number]} to
   */
  rotate(width, height, from, to) {
    const { axis, angle } = arcball(width, height, from, to);
    const inPatient = plus(plus(times(this.axes.right, axis[0]), times(this.axes.up, axis[1])), times(this.axes.back, axis[2]));
    // The volume follows the finger, so the camera goes the other way.
    this.axes = turnedAxes(this.axes, inPatient, -angle);
  }

  /** By keys: degrees about the picture's up and right. @param {number} across @param {number} over */
  nudge(across, over) {
    const degree = Math.PI / 180;
    if (across) this.axes = turnedAxes(this.axes, this.axes.up, -across * degree);
    if (over) this.axes = turnedAxes(this.axes, this.axes.right, -over * degree);
  }

  /** @param {number} factor above 1 is nearer */
  zoom(factor) {
    this.side_mm = clamp(this.side_mm / factor, this.reach_mm / 60, this.reach_mm * 4);
  }

  /** @param {number} dx @param {number} dy CSS px @param {number} mm per CSS px */
  shift(dx, dy, mm) {
    // Moving the picture right is moving the camera left.
    this.pan = { right: this.pan.right - dx * mm, up: this.pan.up + dy * mm };
  }

  /** What the camera says in a URL. @param {number} fov_mm height of the picture */
  query(fov_mm) {
    const { axes, volume } = this;
    const position = plus(volume.center, times(axes.back, this.reach_mm));
    return [
      `viewpointposition=${triple(position)}`, `viewpointlookat=${triple(volume.center)}`, `viewpointup=${triple(axes.up)}`,
      `fov=${text(fov_mm)}`, `pan=${text(this.pan.right)},${text(this.pan.up)}`,
    ];
  }

  copy() {
    return { axes: this.axes, pan: { ...this.pan } };
  }
}
