/** Starts the console: sessions, their recordings and compositions. */
import { render } from "preact";
import { Console } from "./console";
import "../shared/style.css";
import "./console.css";

const page = document.getElementById("page");
if (page) render(<Console />, page);
