"""GeneralPoints in text: four playing cards to 24, with rules and colours that change."""
