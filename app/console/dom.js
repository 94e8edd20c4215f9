/**
 * Elements without markup: what a model is called is only ever a text or a property, so it cannot become an element.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element.
 *
 * @param {string} tag
 * @param {Object} properties set as properties, `aria-…` and `role` as attributes, `on` as listeners by event.
 * @param {...(Node|string|number|null|undefined)} children text or nodes; null and undefined are left out.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name.startsWith("aria-") || name === "role") {
      element.setAttribute(name, value);
    } else {
      element[name] = value;
    }
  }
  element.append(...present(children));
  return element;
}

/** Make an SVG element from attributes. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...present(children));
  return element;
}

/** Make a card with a title, the way every part of the page is. */
export function card(id, title, ...children) {
  const heading = el("h2", { id: `${id}-title` }, title);
  return el("section", { id, className: "card", "aria-labelledby": heading.id }, heading, ...children);
}

/** A number for people: few digits, and no more than there are. */
export function shown(number) {
  if (typeof number !== "number") return String(number);
  if (Number.isInteger(number) && Math.abs(number) < 1e15) return number.toLocaleString("en");
  const size = Math.abs(number);
  return size !== 0 && (size < 1e-4 || size >= 1e9) ? number.toExponential(3) : String(Number(number.toPrecision(4)));
}

/** A probability or a share as a percentage. */
export function percent(share) {
  const points = 100 * share;
  return `${points > 0 && points < 0.1 ? "<0.1" : points > 99.9 && points < 100 ? ">99.9" : points.toFixed(1)} %`;
}

function present(children) {
  return children.filter((child) => child !== null && child !== undefined);
}
