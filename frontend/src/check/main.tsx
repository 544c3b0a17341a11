/** Starts the page of the connection check. */
import { render } from "preact";
import { App } from "./app";
import { admissionOf } from "./entry";
import "../shared/style.css";
import "./check.css";

const page = document.getElementById("page");
if (page) render(<App admission={admissionOf(location.hash)} />, page);
