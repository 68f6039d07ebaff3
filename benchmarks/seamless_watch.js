// What a reader sees, noted by the page's own clock: wheel events and movements, and when what followed was painted.
(() => {
  const watched = { wheels: [], moves: [], paints: [], changes: [], webgl: 0 };
  window.watched = watched;
  for (const kind of [window.HTMLCanvasElement, window.OffscreenCanvas]) {
    const given = kind?.prototype.getContext;
    if (!given) continue;
    kind.prototype.getContext = function (name, ...rest) {
      if (/webgl|webgpu/.test(String(name))) watched.webgl += 1;
      return given.call(this, name, ...rest);
    };
  }
  // After the next frame: a message is handled when what was drawn in it is on its way to the screen.
  const painted = (then) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => then(performance.now());
    port2.postMessage(0);
  });
  const view = () => document.querySelector("sivr-stack-view");
  window.addEventListener("wheel", (event) => {
    const reader = view()?.reader;
    watched.wheels.push({ t: event.timeStamp, index: reader?.index ?? -1, tile: !!reader?.strip.tile(reader.index, "") });
  });
  window.addEventListener("pointermove", (event) => event.buttons && watched.moves.push(event.timeStamp));
  let waiting = false;
  const observer = new MutationObserver((changes) => {
    const names = new Set(changes.map((one) => one.attributeName));
    if (!waiting && (names.has("style") || names.has("slope") || names.has("data-painted"))) {
      waiting = true;
      painted((t) => {
        waiting = false;
        watched.changes.push(t);
      });
    }
    const pane = view();
    if (!pane || !(names.has("data-painted") || names.has("data-quality"))) return;
    const { shown, index } = pane.reader ?? {};
    if (!shown) return;
    const what = { index: shown.index, quality: shown.picture.quality, wanted: index };
    painted((t) => watched.paints.push({ t, ...what }));
  });
  observer.observe(document, { subtree: true, attributes: true, attributeFilter: ["style", "slope", "data-painted", "data-quality", "transform"] });
})();
