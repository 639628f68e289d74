"""What the tests share: the server under test, example programs, the two pages."""
