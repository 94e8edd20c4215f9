/**
 * A pad to draw a digit on, for models of small images: by mouse, finger, pen or the arrow keys.
 */

import { el } from "./dom.js";
import { rasterise } from "./raster.js";

const SIZE = 280;
const PEN = 20;
const KEY_STEP = 0.05;
const START = [0.5, 0.2];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const HELP =
  "Draw with the mouse, a finger or a pen. By keyboard: arrow keys move, Space puts the pen down and lifts it, " +
  "Delete clears.";

export class PadView {
  #image;
  #changed;
  #strokes = [];
  #stroke = null;
  #cursor = null;
  #penDown = false;
  #canvas = el("canvas", { id: "pad", width: SIZE, height: SIZE, tabIndex: 0, role: "application" });
  #preview = el("canvas", { className: "pixels" });
  #error = el("p", { className: "error" });
  #said = el("p", { className: "unseen", role: "status" });

  /**
   * @param {{side: number, ink: number}} image
   * @param {function(): void} changed is called after each change.
   */
  constructor(image, changed) {
    this.#image = image;
    this.#changed = changed;
    this.#preview.width = this.#preview.height = image.side;
    this.#preview.ariaHidden = "true";
    const help = el("p", { className: "note", id: "pad-help" }, HELP);
    this.#canvas.ariaLabel = "Drawing pad";
    this.#canvas.setAttribute("aria-describedby", help.id);
    const clear = el("button", { type: "button", id: "pad-clear", on: { click: () => this.clear() } }, "Clear");
    const caption = el("figcaption", {}, `${image.side} × ${image.side}, as the model sees it`);
    const seen = el("figure", {}, this.#preview, caption);
    this.element = el(
      "div",
      { className: "view pad" },
      el("div", { className: "board" }, this.#canvas, el("div", { className: "beside" }, seen, clear)),
      help,
      this.#error,
      this.#said,
    );
    this.#listen();
    this.#draw();
  }

  /** The pixels, row by row; null where nothing is drawn. */
  values() {
    if (!this.#strokes.length) return null;
    const { side, ink } = this.#image;
    const exact = ink === 1 ? (share) => share : (share) => Math.round(share * ink);
    return rasterise(this.#strokes, side).map(exact);
  }

  showErrors(errors) {
    this.#error.textContent = errors.length ? errors[0].detail : "";
    return [];
  }

  clear() {
    this.#strokes = [];
    this.#stroke = null;
    this.#penDown = false;
    this.#update();
  }

  #listen() {
    const on = (type, listener) => this.#canvas.addEventListener(type, listener);
    on("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#canvas.setPointerCapture(event.pointerId);
      this.#cursor = null;
      this.#stroke = [this.#placeOf(event)];
      this.#strokes.push(this.#stroke);
      this.#update();
    });
    on("pointermove", (event) => {
      if (!this.#stroke || !this.#canvas.hasPointerCapture(event.pointerId)) return;
      // A quick hand makes several points between two frames.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.#stroke.push(this.#placeOf(each));
      this.#update();
    });
    for (const type of ["pointerup", "pointercancel"]) on(type, () => (this.#stroke = null));
    on("keydown", (event) => this.#onKey(event));
    on("focus", () => {
      // Who came here by keyboard needs to see where the pen is.
      if (this.#canvas.matches(":focus-visible")) this.#cursor = START;
      this.#draw();
    });
    on("blur", () => {
      this.#cursor = null;
      this.#penDown = false;
      this.#draw();
    });
    // Ink and paper are the page's colours, dark or light.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  #placeOf(event) {
    const box = this.#canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #onKey(event) {
    this.#cursor ??= START;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      this.#cursor = [within(this.#cursor[0] + dx * KEY_STEP), within(this.#cursor[1] + dy * KEY_STEP)];
      if (this.#penDown) this.#strokes.at(-1).push(this.#cursor);
    } else if (event.key === " ") {
      this.#penDown = !this.#penDown;
      if (this.#penDown) this.#strokes.push([this.#cursor]);
      this.#said.textContent = this.#penDown ? "Pen down" : "Pen up";
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.clear();
      this.#said.textContent = "Cleared";
    } else {
      return;
    }
    event.preventDefault();
    this.#update();
  }

  #update() {
    this.#draw();
    this.#changed();
  }

  #draw() {
    const pen = this.#canvas.getContext("2d");
    pen.clearRect(0, 0, SIZE, SIZE);
    pen.lineWidth = PEN;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = pen.fillStyle = colour("--ink");
    for (const stroke of this.#strokes) {
      pen.beginPath();
      pen.moveTo(stroke[0][0] * SIZE, stroke[0][1] * SIZE);
      // The first point again: a dot is a line, too.
      for (const [x, y] of stroke) pen.lineTo(x * SIZE, y * SIZE);
      pen.stroke();
    }
    if (this.#cursor) {
      pen.strokeStyle = colour("--accent");
      pen.lineWidth = this.#penDown ? 5 : 2;
      pen.beginPath();
      pen.arc(this.#cursor[0] * SIZE, this.#cursor[1] * SIZE, PEN / 2, 0, 2 * Math.PI);
      pen.stroke();
    }
    const [ink, pixels] = [colour("--ink"), this.values() ?? []];
    drawPixels(this.#preview, pixels.map((value) => [ink, value / this.#image.ink]));
  }
}

/** What each pixel adds to an output, in two colours. */
export function contributionMap(values, side) {
  const canvas = el("canvas", { className: "pixels", width: side, height: side, role: "img" });
  canvas.ariaLabel = "What each pixel adds";
  const largest = Math.max(...values.map(Math.abs)) || 1;
  const [negative, positive] = [colour("--negative"), colour("--positive")];
  drawPixels(canvas, values.map((value) => [value < 0 ? negative : positive, Math.abs(value) / largest]));
  return canvas;
}

function drawPixels(canvas, pixels) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pixels.forEach(([fill, alpha], at) => {
    pen.globalAlpha = alpha;
    pen.fillStyle = fill;
    pen.fillRect(at % canvas.width, Math.floor(at / canvas.width), 1, 1);
  });
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function within(value) {
  return Math.min(1, Math.max(0, value));
}
