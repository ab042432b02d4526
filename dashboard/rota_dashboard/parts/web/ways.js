// The links above every page: followed as all others, and the present one marked.

import { follow } from "./base.js";

const links = [...document.querySelectorAll(".ways a")];
for (const link of links) link.addEventListener("click", follow);

function mark() {
  for (const link of links) {
    const isHere = link.pathname === location.pathname || (link.pathname === "/" && location.pathname === "/overview");
    isHere && !link.classList.contains("home") ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
}
addEventListener("popstate", mark);
mark();
