/**
 * Shows the report that the console hands over, in a frame that runs nothing and inherits this page's policy.
 */

addEventListener("message", (event) => {
  if (event.source !== parent) return;
  const frame = document.createElement("iframe");
  frame.title = "Report";
  frame.setAttribute("sandbox", "");
  frame.srcdoc = event.data;
  document.body.replaceChildren(frame);
});
