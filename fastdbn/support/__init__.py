"""What every other part may use: checks of arguments, warnings and progress lines, files replaced in one step."""
