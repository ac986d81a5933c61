"""Programs, answers and methods that mean harm, or break what they promise."""
