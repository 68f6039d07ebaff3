// @ts-check
/**
 * Mouse, pen and fingers on a picture, as reading programs do it: left drag is the active tool, right drag zooms, middle
 * drag pans, the wheel scrolls; one finger is the active tool, two zoom and pan.
 */

/** @typedef {{x: number, y: number, dx: number, dy: number, fromX: number, fromY: number}} Move CSS px within the element */
/**
 * @typedef {object} Handlers
 * @property {() => string} tool the active tool
 * @property {(tool: string, at: {x: number, y: number}) => void} [begin]
 * @property {(tool: string, move: Move) => void} drag
 * @property {(tool: string) => void} [end]
 * @property {(steps: number, at: {x: number, y: number}) => void} [wheel] positive is down
 * @property {(factor: number, at: {x: number, y: number}) => void} [zoom] pinch, or the wheel with Ctrl
 * @property {(dx: number, dy: number) => void} [shift] two fingers
 * @property {(tool: string, at: {x: number, y: number}) => void} [tap] down and up at one place
 * @property {(at: {x: number, y: number}) => void} [hover] the mouse moves without a button
 * @property {(at: {x: number, y: number}) => void} [double]
 * @property {string} [shifted] the tool of a drag with the Shift key
 */

const NOTCH_PX = 80;
const TRACKPAD_STEP_PX = 40;
/** A finger never stays quite where it touched. */
const TAP_PX = { mouse: 3, touch: 10 };

/**
 * @param {HTMLElement} element @param {Handlers} handlers @param {AbortSignal} signal ends it
 */
export function gestures(element, handlers, signal) {
  /** @type {Map<number, {x: number, y: number}>} */
  const pointers = new Map();
  /** @type {{tool: string, fromX: number, fromY: number, x: number, y: number, far: boolean} | null} */
  let drag = null;
  /** @type {{x: number, y: number, distance: number} | null} */
  let pinch = null;
  let turned = 0;

  /** @param {MouseEvent} event */
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const pair = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1) };
  };
  /** @param {PointerEvent} event */
  const toolOf = (event) => {
    if (event.button === 2) return "zoom";
    if (event.button === 1) return "pan";
    if (event.ctrlKey || event.metaKey) return "zoom";
    if (event.shiftKey) return handlers.shifted ?? "pan";
    return handlers.tool();
  };
  const finish = () => {
    if (drag) handlers.end?.(drag.tool);
    drag = null;
  };

  element.addEventListener("pointerdown", (event) => {
    if (/** @type {Element} */ (event.target).closest("button, input, select, a, details")) return;
    if (event.pointerType === "mouse") event.preventDefault();
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    const point = at(event);
    pointers.set(event.pointerId, point);
    if (pointers.size === 2) {
      finish();
      pinch = pair();
    } else if (pointers.size === 1) {
      const tool = toolOf(event);
      drag = { tool, fromX: point.x, fromY: point.y, far: false, ...point };
      handlers.begin?.(tool, point);
    }
  }, { signal });

  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) {
      if (!pointers.size && event.pointerType === "mouse") handlers.hover?.(at(event));
      return;
    }
    const point = at(event);
    pointers.set(event.pointerId, point);
    if (pinch && pointers.size === 2) {
      const now = pair();
      handlers.shift?.(now.x - pinch.x, now.y - pinch.y);
      handlers.zoom?.(now.distance / pinch.distance, now);
      pinch = now;
    } else if (drag && pointers.size === 1) {
      handlers.drag(drag.tool, { ...point, dx: point.x - drag.x, dy: point.y - drag.y, fromX: drag.fromX, fromY: drag.fromY });
      drag.x = point.x;
      drag.y = point.y;
      const most = event.pointerType === "mouse" ? TAP_PX.mouse : TAP_PX.touch;
      drag.far ||= Math.hypot(point.x - drag.fromX, point.y - drag.fromY) > most;
    }
  }, { signal });

  /** @param {PointerEvent} event */
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (pointers.size < 2) pinch = null;
    if (pointers.size) return;
    const tapped = event.type === "pointerup" && drag && !drag.far ? drag : null;
    finish();
    if (tapped) handlers.tap?.(tapped.tool, { x: tapped.fromX, y: tapped.fromY });
  };
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", up, { signal });

  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 40 : event.deltaMode === 2 ? 400 : 1);
    if (event.ctrlKey) {
      handlers.zoom?.(Math.exp(-pixels / 300), at(event));
      return;
    }
    if (Math.abs(pixels) >= NOTCH_PX) {
      turned = 0;
      handlers.wheel?.(Math.sign(pixels) * Math.max(1, Math.round(Math.abs(pixels) / 120)), at(event));
      return;
    }
    turned += pixels;
    const steps = Math.trunc(turned / TRACKPAD_STEP_PX);
    if (steps) {
      turned -= steps * TRACKPAD_STEP_PX;
      handlers.wheel?.(steps, at(event));
    }
  }, { signal, passive: false });

  element.addEventListener("dblclick", (event) => handlers.double?.(at(event)), { signal });
}
